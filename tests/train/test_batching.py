"""Batches are whole, random and repeatable."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment.parameters import complete
from harness.train.batching import batch_indices, class_weights, shuffled_batches, training_subset


@given(st.integers(1, 2000), st.integers(1, 256), st.integers(0, 99), st.integers(1, 50))
def test_every_image_is_seen_and_few_are_repeated(images: int, size: int, seed: int, epoch: int) -> None:
    order = shuffled_batches(images, size, seed, epoch)
    steps = -(-images // size)
    assert order.shape[0] == steps
    assert order.shape[1] <= size
    assert set(order.ravel().tolist()) == set(range(images))
    assert order.size - images < steps
    np.testing.assert_array_equal(order, shuffled_batches(images, size, seed, epoch))


def test_every_epoch_has_an_order_of_its_own() -> None:
    assert not np.array_equal(shuffled_batches(100, 10, 1, 1), shuffled_batches(100, 10, 1, 2))
    assert not np.array_equal(shuffled_batches(100, 10, 1, 1), shuffled_batches(100, 10, 2, 1))


LABELS = np.array([0] * 90 + [1] * 9 + [2] * 1, np.int32)


def test_balanced_sampling_draws_every_class_equally_often() -> None:
    params = complete({"balance": "sampling", "batch_size": 32})
    drawn = np.concatenate(
        [LABELS[batch_indices(LABELS, params, 1, epoch).ravel()] for epoch in range(1, 40)]
    )
    shares = np.bincount(drawn) / len(drawn)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)
    assert batch_indices(LABELS, params, 1, 1).shape == (4, 25)


def test_class_weights_make_every_class_count_the_same() -> None:
    weights = class_weights(LABELS, complete({"balance": "class_weights"}), 3)
    totals = np.bincount(LABELS) * weights
    np.testing.assert_allclose(totals, totals[0])
    assert (weights[LABELS]).mean() == np.float32(1)
    np.testing.assert_array_equal(class_weights(LABELS, complete({}), 3), [1, 1, 1])


def test_a_larger_share_of_the_images_contains_a_smaller_one() -> None:
    small, large = training_subset(LABELS, 0.2), training_subset(LABELS, 0.5)
    assert set(small.tolist()) <= set(large.tolist())
    assert set(LABELS[small]) == {0, 1, 2}
    assert len(small) == 18 + 2 + 1
    assert set(batch_indices(LABELS, complete({"train_fraction": 0.2}), 1, 1).ravel().tolist()) == set(
        small.tolist()
    )
