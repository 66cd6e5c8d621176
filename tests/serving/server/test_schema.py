"""What the OpenAPI description promises holds, whatever schemathesis makes of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.serving.server.client import Server

pytestmark = pytest.mark.slow

FULL = os.environ.get("HARNESS_TESTS") == "full"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)
"""Not that everything is accepted which fits the description: base64 of something is not yet a picture."""


def test_the_description_holds(server: Server) -> None:
    examples = "100" if FULL else "5"
    before = server.metric("harness_serve_requests_total")
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--no-color",
         "--no-shrink", "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing",
         "--max-examples", examples, "--seed", "1", "--generation-database", "none", "--continue-on-failure"],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.metric("harness_serve_requests_total") > before + 50, done.stdout
    assert server.get("/health").status == 200
    assert 'status="500"' not in server.get("/metrics").content.decode()
