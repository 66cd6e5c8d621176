"""Streamed images make the same batches as resident ones, and so the same training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.arrays import ImagesOnDisk
from harness.experiment.parameters import complete
from harness.model.preprocessing import PixelStatistics
from harness.train.batching import shuffled_batches
from harness.train.images import ResidentImages, StreamedImages, TrainingImages
from harness.train.program import Program

POOL = np.random.default_rng(0).integers(0, 256, (120, 8, 8, 1), np.uint8)
INDICES = np.random.default_rng(1).permutation(120)[:90]
LABELS = (np.arange(90) % 10).astype(np.int32)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 90), st.integers(1, 10_000))
def test_every_batch_is_the_same(batch_size: int, chunk_bytes: int) -> None:
    order = shuffled_batches(90, batch_size, seed=3, epoch=1)
    (whole,) = ResidentImages(POOL[INDICES], LABELS).chunks(order)
    streamed = list(StreamedImages(ImagesOnDisk(POOL, INDICES), LABELS, chunk_bytes).chunks(order))
    assert sum(len(chunk.indices) for chunk in streamed) == len(order)
    for name in ("images", "labels"):
        expected = np.asarray(getattr(whole, name))[whole.indices]
        found = [np.asarray(getattr(chunk, name))[chunk.indices] for chunk in streamed]
        np.testing.assert_array_equal(np.concatenate(found), expected)


@pytest.mark.slow
def test_training_on_a_stream_is_the_same_to_the_last_bit() -> None:
    params = complete(
        {
            "family": "cnn",
            "depth": 1,
            "width": 4,
            "dropout": 0.3,
            "augmentation": "shift",
            "optimizer": "adam",
        }
    )
    statistics = PixelStatistics((8.0,), (5.0,))

    def train(images: TrainingImages) -> tuple[list[tuple[float, float]], list[np.ndarray]]:
        program = Program(params, (8, 8, 1), 10, statistics)
        program.reset(7, 0.3)
        totals = []
        for epoch in (1, 2):
            order = shuffled_batches(90, 16, seed=3, epoch=epoch)
            rates = np.linspace(0.01, 0.001, len(order), dtype=np.float32)
            found = program.train_epoch(images.chunks(order), rates, epoch, params)
            totals.append((found.loss, found.accuracy))
        return totals, program.network.get_weights()

    resident, weights = train(ResidentImages(POOL[INDICES], LABELS))
    for chunk_bytes in (1, 3 * 16 * 64):
        streamed, other = train(StreamedImages(ImagesOnDisk(POOL, INDICES), LABELS, chunk_bytes))
        assert streamed == resident
        for mine, theirs in zip(other, weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)
