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


@given(
    images=st.integers(1, 60),
    epoch_images=st.integers(1, 150),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 5),
)
def test_epochs_of_another_length_show_every_image_equally_often(
    images: int, epoch_images: int, batch_size: int, seed: int
) -> None:
    """Epoch by epoch they are the same endless row of shuffled images, cut elsewhere."""
    labels = np.arange(images, dtype=np.int32)
    params = complete({"batch_size": batch_size})
    seen: list[int] = []
    for epoch in range(1, 6):
        order = batch_indices(labels, params, seed, epoch, epoch_images)
        assert order.shape[1] <= batch_size
        seen += order.ravel()[:epoch_images].tolist()
    for first in range(0, len(seen) - images + 1, images):
        assert sorted(seen[first : first + images]) == list(range(images))


def test_an_epoch_of_all_images_is_the_same_with_or_without_their_number() -> None:
    labels, params = np.arange(50, dtype=np.int32), complete({"batch_size": 8})
    for epoch in (1, 2, 3):
        np.testing.assert_array_equal(
            batch_indices(labels, params, 3, epoch), batch_indices(labels, params, 3, epoch, 50)
        )


def test_a_balanced_epoch_has_as_many_images_as_it_is_given() -> None:
    order = batch_indices(LABELS, complete({"balance": "sampling", "batch_size": 10}), 1, 1, 30)
    assert order.size == 30
