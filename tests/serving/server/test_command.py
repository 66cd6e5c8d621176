"""The command: a token, a limit of requests, a stop in order, and what is wrong before it begins."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from harness.cli import main
from tests.serving.server.client import Reply, Server, noisy, png, running

TOKEN = "s3cret-of-nobody"
GOOD = png(noisy(0))


def busy(server: Server, headers: dict[str, str], answered: list[Reply]) -> threading.Thread:
    """A request that takes seconds to answer, whose answering has begun."""
    large = png(np.zeros((3000, 4000, 3), np.uint8))
    asking = threading.Thread(
        target=lambda: answered.append(server.upload(*[("large.png", large)] * 8, **headers))
    )
    asking.start()
    until = time.monotonic() + 60
    while b"harness_serve_requests_in_flight 1.0" not in server.get("/metrics", **headers).content:
        assert time.monotonic() < until
        time.sleep(0.01)
    return asking


@pytest.mark.slow
def test_a_server_from_its_start_to_its_end(colours: Path) -> None:
    command = ["-m", "harness", "serve", str(colours), "--port", "0", "--requests", "1", "--name", "paint"]
    answered: list[Reply] = []
    right = {"authorization": f"Bearer {TOKEN}"}
    with running(*command, HARNESS_SERVE_TOKEN=TOKEN) as server:
        assert server.url.startswith("http://127.0.0.1:")

        # Without the token there is the page and whether the server is well, nothing else.
        for path in ("/", "/page.js", "/health", "/health/live", "/openapi.json", "/docs"):
            assert server.get(path).status == 200, path
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"},
                        {"authorization": f"Bearer {TOKEN}x"}, {"authorization": "Bearer "},
                        {"authorization": "Bearer \xff"}):  # fmt: skip
            for path in ("/metrics", "/v1/models/paint", "/nothing"):
                found = server.get(path, **headers)
                assert found.status == 401, (path, headers)
                assert found.headers["www-authenticate"].startswith("Bearer")
                assert "token" in found.error
                assert TOKEN not in found.error
            assert server.upload(("a.png", GOOD), **headers).status == 401
        assert server.get("/v1/models/paint", authorization=f"bearer {TOKEN}").status == 200
        assert server.upload(("a.png", GOOD), **right).status == 200

        # One request at once, and another one.
        asking = busy(server, right, answered)
        refused = server.upload(("a.png", GOOD), **right)
        assert refused.status == 429
        assert refused.headers["retry-after"] == "1"
        assert "1 requests are being answered" in refused.error
        assert server.get("/health").status == 200

        # What is in flight when it stops is answered; nobody else is.
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(OSError, match="refused"):
            server.get("/health")
        asking.join(60)
        assert [one.status for one in answered] == [200]
        assert len(answered[0].json["predictions"]) == 8
        assert server.process.wait(30) == 0
    assert server.process.stdout is not None
    assert server.said[-1] == "stopped\n"
    assert TOKEN not in "".join(server.said)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["harness", "serve", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0), capsys.readouterr().err


def test_a_tampered_bundle_is_not_served(sealed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sealed / "model.keras").write_bytes(b"other weights")
    code, text = said(capsys, str(sealed), "--port", "0")
    assert code == 1
    assert "model.keras was changed" in text


def test_there_is_no_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "nowhere", "--port", "0")
    assert code == 1
    assert "neither a bundle at nowhere nor a study" in text


def test_the_port_is_taken(sealed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, text = said(capsys, str(sealed), "--port", str(port))
    assert code == 1
    assert f"Port {port} of 127.0.0.1 cannot be used" in text
    code, text = said(capsys, str(sealed), "--host", "no such host", "--port", "0")
    assert code == 1
    assert "Choose another --host" in text


@pytest.mark.parametrize(
    ("token", "words"), [("", "empty"), ("two words", "printable"), ("naïve", "printable")]
)
def test_a_token_that_no_header_can_carry(
    sealed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, token: str, words: str
) -> None:
    monkeypatch.setenv("HARNESS_SERVE_TOKEN", token)
    code, text = said(capsys, str(sealed), "--port", "0")
    assert code == 2
    assert words in text
    assert not token or token not in text


def test_a_name_that_is_none(sealed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, str(sealed), "--port", "0", "--name", "a/b")
    assert code == 2
    assert "cannot be called 'a/b'" in text
