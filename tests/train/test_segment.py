"""Batches are whole, random and repeatable."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.train.segment import batches


@given(st.integers(1, 2000), st.integers(1, 256), st.integers(0, 99), st.integers(1, 50))
def test_every_image_is_seen_and_few_are_repeated(images: int, size: int, seed: int, epoch: int) -> None:
    order = batches(images, size, seed, epoch)
    steps = -(-images // size)
    assert order.shape[0] == steps
    assert order.shape[1] <= size
    assert set(order.ravel().tolist()) == set(range(images))
    assert order.size - images < steps
    np.testing.assert_array_equal(order, batches(images, size, seed, epoch))


def test_every_epoch_has_an_order_of_its_own() -> None:
    assert not np.array_equal(batches(100, 10, 1, 1), batches(100, 10, 1, 2))
    assert not np.array_equal(batches(100, 10, 1, 1), batches(100, 10, 2, 1))
