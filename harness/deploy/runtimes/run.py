"""Let one runtime answer for images, and see how long it takes.

    python run.py RUNTIME MODEL IMAGES ANSWERS

is a script of its own, which imports nothing of harness: RUNTIME is a file beside it whose function
`open_model(MODEL)` gives the model's entries by name, the usual one first, each a function from images uint8
(N, H, W, C) to arrays by the names of its outputs. IMAGES is an `.npy` file of uint8 (N, H, W, C). ANSWERS
becomes an `.npz` file with an array `ENTRY/OUTPUT` for each of them (of entries beside the usual one for the
first few images), and with the milliseconds that the usual entry took for `single` images and for a `batch`.
"""

from __future__ import annotations

import runpy
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

BATCH = 32
"""Images that are predicted at a time."""
FEW = 64
"""Images that are given to entries beside the usual one, which have the same network behind them."""
MOST_RUNS = 30
FEWEST_RUNS = 5
SECONDS = 0.5
"""Time after which no further run is begun."""

Predict = Callable[[npt.NDArray[np.uint8]], Mapping[str, npt.NDArray[Any]]]


def answered(predict: Predict, images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
    """The outputs for all images, which are predicted batch by batch."""
    parts = [predict(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def milliseconds(
    predict: Callable[[npt.NDArray[np.uint8]], Any], images: npt.NDArray[np.uint8]
) -> list[float]:
    """How long some runs take for these images, after one that is not counted."""
    predict(images)
    found: list[float] = []
    began = time.perf_counter()
    while len(found) < FEWEST_RUNS or (len(found) < MOST_RUNS and time.perf_counter() - began < SECONDS):
        start = time.perf_counter()
        predict(images)
        found.append((time.perf_counter() - start) * 1000)
    return found


def batch_of(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A batch of these images, some of them several times where there are few."""
    return images[np.arange(BATCH) % len(images)]


def main(runtime: str, model: str, images_file: str, answers_file: str) -> None:
    """Answer, as the module says."""
    images = np.load(images_file)
    entries = runpy.run_path(runtime)["open_model"](model)
    usual = next(iter(entries.values()))
    found = {
        f"{entry}/{output}": values
        for entry, predict in entries.items()
        for output, values in answered(predict, images if predict is usual else images[:FEW]).items()
    }
    found["batch"] = np.array(milliseconds(usual, batch_of(images)))
    found["single"] = np.array(milliseconds(usual, images[:1]))
    np.savez(answers_file, allow_pickle=False, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
