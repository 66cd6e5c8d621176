"""One server for all tests that only ask it, with limits that are soon reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.serving.bundle import open_bundle
from harness.serving.predictor import Predictor, predictor
from tests.serving.server.client import Server, running

BODY_BYTES = 1_000_000
SERVE = """
import sys
from harness.serving.server.limits import Limits
from harness.serving.server.running import ServerSettings, serve_bundle

limits = Limits(body_bytes={body_bytes}, body_seconds=2, head_seconds=2)
settings = ServerSettings({bundle!r}, port=0, allowed_hosts=("images.example",), limits=limits)
serve_bundle(settings, lambda url: print(url, flush=True), lambda text: print(text, file=sys.stderr))
"""


@pytest.fixture(scope="session")
def server(colours: Path) -> Iterator[Server]:
    script = SERVE.format(bundle=str(colours), body_bytes=BODY_BYTES)
    with running("-c", script, TF_CPP_MIN_LOG_LEVEL="3") as started:
        yield started
    # What clients do wrong is nothing to tell of.
    assert started.said == ["loading colours …\n", "stopped\n"]


@pytest.fixture(scope="session")
def model(colours: Path) -> Predictor:
    """The same model in this process."""
    return predictor(open_bundle(colours))
