"""What is said when a Ray cluster cannot be used: nothing listens there, or it asks for a token."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.mlflow_server import free_port

PATIENCE = 60.0


def sweep(address: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", "sweep", "quickstart", "--trials", "1", "--epochs", "1",
         "--engine", "ray", "--ray-address", address],
        env=os.environ | {"HOME": str(home), "HARNESS_HOME": str(home / "studies")} | variables,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("form", ["127.0.0.1:{port}", "ray://no-such-host.invalid:{port}"])
def test_nothing_listens(form: str, tmp_path: Path) -> None:
    address = form.format(port=free_port())
    began = time.monotonic()
    ended = sweep(address, tmp_path)
    assert ended.returncode == 1
    assert f"Error: No Ray cluster answers at {address} (" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert time.monotonic() - began < PATIENCE


@pytest.mark.slow
def test_the_cluster_asks_for_a_token(tmp_path: Path) -> None:
    port, token = free_port(), secrets.token_hex(16)
    (tmp_path / "token").write_text(token, encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="ray-") as temporary:  # a socket's path must be short
        head = subprocess.Popen(
            [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", f"--port={port}",
             "--node-ip-address=127.0.0.1", f"--ray-client-server-port={free_port()}", "--num-cpus=1",
             "--include-dashboard=false", f"--temp-dir={temporary}"],
            env=os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + PATIENCE
            ended = sweep(f"127.0.0.1:{port}", tmp_path, RAY_AUTH_MODE="disabled")
            while "No Ray cluster answers" in ended.stderr and time.monotonic() < deadline:
                ended = sweep(f"127.0.0.1:{port}", tmp_path, RAY_AUTH_MODE="disabled")
            assert ended.returncode == 1
            assert "asks for a token. Set RAY_AUTH_MODE=token" in ended.stderr
            assert token not in ended.stderr
        finally:
            head.terminate()
            head.wait(PATIENCE)
