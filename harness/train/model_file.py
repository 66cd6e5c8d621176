"""The file of a trained model, and the reference predictions every copy is compared with."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from harness.data.arrays import Arrays
from harness.model.families import build, with_probabilities
from harness.model.preprocessing import PixelStatistics
from harness.paths import make_folder, sha256_of, write_file
from harness.records import ModelSaved, Segment
from harness.train.metrics import softmax
from harness.train.program import Program

REFERENCE_IMAGES = 64


def save_model(
    program: Program,
    segment: Segment,
    arrays: Arrays,
    trial_folder: Path,
    epoch: int,
    statistics: PixelStatistics,
) -> ModelSaved:
    """Write `model.keras` (stock layers, softmax output) and `reference.npz` beside it."""
    make_folder(trial_folder)
    network = build(segment.params, segment.dataset.image_shape, len(segment.dataset.classes), statistics)
    network.set_weights(program.network.get_weights())
    model = with_probabilities(network)
    file = trial_folder / "model.keras"

    split = "validation" if segment.dataset.counts["validation"] else "train"
    images, _ = arrays.validation() if split == "validation" else arrays.train()
    count = min(REFERENCE_IMAGES, len(images))
    indices = np.linspace(0, len(images) - 1, count).astype(np.int64)
    probabilities = softmax(program.predict(images[indices]))

    def write_reference(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            np.savez(stream, indices=indices, probabilities=probabilities, split=np.str_(split))

    write_file(trial_folder / "reference.npz", write_reference)
    write_file(file, model.save)
    return ModelSaved(
        trial=segment.trial,
        attempt=segment.attempt,
        epoch=epoch,
        file=str(file.relative_to(segment.study_folder)),
        sha256=sha256_of(file),
        size=file.stat().st_size,
        parameters=network.count_params(),
        time=time.time_ns() // 1_000_000,
    )
