"""The process in which a model is converted to the formats of other libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.deploy.converting import TRAINING_IMAGES
from harness.deploy.runtimes.answers import how_it_ended
from harness.errors import ExportError

SECONDS = 1800
"""How long one conversion may take."""


class Converter:
    """Converts one model in a process that is started when first needed, and anew after it has crashed."""

    def __init__(self, file: Path, training_images: npt.NDArray[np.uint8] | None) -> None:
        """Nothing is started yet.

        Args:
            file: the `.keras` file.
            training_images: some that it was trained on, uint8 (n, H, W, C); None if there are none.
        """
        self._file, self._training_images = file, training_images
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="harness-")

    def __enter__(self) -> Converter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._ended(self._process)
        self._folder.cleanup()

    def __call__(self, function: str, target: Path) -> None:
        """Write a file (see `harness.deploy.formats.format.Convert`)."""
        process = self._process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        too_long = threading.Timer(SECONDS, process.kill)
        too_long.start()
        try:
            process.stdin.write(json.dumps({"function": function, "target": str(target)}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            too_long.cancel()
        if not line:
            self._process = None
            reason = how_it_ended(self._ended(process), self._log.read_text("utf-8", "replace"))
            raise ExportError(f"{target.name} could not be made: {reason} Nothing was exported.")
        error = json.loads(line).get("error")
        if error:
            raise ExportError(f"{target.name} could not be made: {error.rstrip('.')}. Nothing was exported.")

    @property
    def _log(self) -> Path:
        return Path(self._folder.name, "log.txt")

    def _started(self) -> subprocess.Popen[str]:
        if self._training_images is not None:
            np.save(Path(self._folder.name, TRAINING_IMAGES), self._training_images)
        command = ["-P", "-m", "harness.deploy.converting", str(self._file), self._folder.name]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, *command],
                env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
            )

    @staticmethod
    def _ended(process: subprocess.Popen[Any]) -> int:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        return process.wait()
