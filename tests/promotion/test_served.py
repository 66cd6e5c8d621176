"""What is registered to a real MLflow server is served by MLflow as `harness predict` answers."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.mlflow_server import answering, free_port, mlflow_server
from tests.promotion.conftest import Command, answer

pytestmark = pytest.mark.slow


def folder_of_uvicorn() -> str:
    """Where the command is that MLflow calls by its name."""
    (command,) = [
        file for file in metadata.files("uvicorn") or () if file.stem == "uvicorn" and not file.suffix
    ]
    return str(Path(str(command.locate())).resolve().parent)


def test_mlflow_serves_the_champion(
    bundles: Path, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8)).astype(np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(f"{number}.png")
    port, served = free_port(), free_port()
    with mlflow_server(port, tmp_path / "server"):
        uri = f"http://127.0.0.1:{port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert command("promote", str(bundles / "weak"), "--alias", "champion").code == 0
        better = command("promote", str(bundles / "strong"), "--alias", "champion")
        assert better.out == "models:/digits/2\n"
        found = answer(
            command("predict", "models:/digits@champion", "0.png", "1.png", "2.png", "--json", "-k", "10")
        )
        expected = [
            {one["class"]: one["probability"] for one in result["top"]} for result in found["results"]
        ]
        serve = [
            sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", "models:/digits@champion",
            "--env-manager", "local", "--host", "127.0.0.1", "--port", str(served), "--workers", "1",
        ]  # fmt: skip
        path = os.pathsep.join([folder_of_uvicorn(), os.environ["PATH"]])
        with answering(serve, served, "/ping", tmp_path / "serve.log", PATH=path):
            request = urllib.request.Request(
                f"http://127.0.0.1:{served}/invocations",
                json.dumps({"inputs": pixels[..., None].tolist()}).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=60) as answered:
                probabilities = json.load(answered)["predictions"]
    wanted = [[one[name] for name in found["classes"]] for one in expected]
    np.testing.assert_allclose(probabilities, wanted, atol=1e-5)
    assert command("promote", "--rollback", "--name", "digits").code == 4
