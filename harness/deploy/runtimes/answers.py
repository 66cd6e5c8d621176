"""What a model's runtime has answered for images, in this process or in one of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.deploy.runtimes import run
from harness.errors import ExportError

SECONDS = 1800
"""How long a runtime may take."""
ROOM = Path(run.__file__).parent
PROBABILITIES = "probabilities"

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds that a prediction takes, on this machine."""

    median: float
    p95: float

    @classmethod
    def of(cls, milliseconds: Sequence[float] | npt.NDArray[np.float64]) -> Latency:
        """From those of some runs."""
        median, p95 = np.percentile(np.asarray(milliseconds), [50, 95])
        return cls(float(median), float(p95))


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model has answered."""

    outputs: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    """By entry, the usual one first, arrays for all images by the names of the outputs; of the other entries
    for the first few images."""
    single: Latency
    """Of the usual entry for one image."""
    batch: Latency
    """Of the usual entry for 32 images."""

    @property
    def probabilities(self) -> dict[str, Probabilities]:
        """By entry, float32 (N, K), of entries beside the first one for the first few images."""
        return {entry: outputs[PROBABILITIES] for entry, outputs in self.outputs.items()}


def answers_here(predict: Callable[[Images], Probabilities], images: Images) -> Answers:
    """The answers of a model that is loaded in this process.

    Args:
        predict: from raw pixels uint8 (N, H, W, C) to probabilities float32 (N, K).
        images: raw pixels, of which the first is timed.
    """
    outputs = run.answered(lambda some: {PROBABILITIES: predict(some)}, images)
    batch = run.milliseconds(predict, run.batch_of(images))
    return Answers({"": outputs}, Latency.of(run.milliseconds(predict, images[:1])), Latency.of(batch))


def answers_of(runtime: str, model: Path, images: Images) -> Answers:
    """The answers of a model in a process of its own, which has NumPy and the runtime alone, on the CPU.

    Args:
        runtime: the name of a module beside this one.
        model: its file or folder.
        images: raw pixels uint8 (N, H, W, C).

    Raises:
        ExportError: the model cannot be loaded, or the runtime fails, crashes or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        given, answered = Path(folder, "images.npy"), Path(folder, "answers.npz")
        np.save(given, images)
        script = [run.__file__, str(ROOM / f"{runtime}.py")]
        try:
            done = subprocess.run(
                [sys.executable, "-P", *script, str(model), str(given), str(answered)],
                env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ExportError(
                f"{model.name} gave no answer within {SECONDS} s. Nothing was exported."
            ) from error
        if done.returncode != 0:
            reason = how_it_ended(done.returncode, done.stderr)
            raise ExportError(f"{model.name} gives no answer: {reason} Nothing was exported.")
        return _read(answered)


def _read(file: Path) -> Answers:
    with np.load(file, allow_pickle=False) as stored:
        outputs: dict[str, dict[str, npt.NDArray[Any]]] = {}
        for name in stored.files:
            entry, slash, output = name.partition("/")
            if slash:
                outputs.setdefault(entry, {})[output] = stored[name]
        return Answers(outputs, Latency.of(stored["single"]), Latency.of(stored["batch"]))


def how_it_ended(code: int, said: str) -> str:
    """Why a process ended that failed, in a sentence: the signal that killed it, or its last words."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"the process crashed ({name})."
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f"{lines[-1].rstrip('.') if lines else f'the process ended with code {code}'}."
