"""Greedy selection: never worse than the best alone, bounded, and as worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.ensembling.selection import (
    MOST_PICKS,
    Labels,
    Picks,
    Probabilities,
    averaged,
    best_in_equal_parts,
    forward_selection,
    log_loss,
)


def accuracy(probabilities: Probabilities, labels: Labels) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())


def unlogged(probabilities: Probabilities, labels: Labels) -> float:
    return -log_loss(probabilities, labels)


MODELS = st.tuples(st.integers(1, 6), st.integers(1, 12), st.integers(2, 4)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float32, shape, elements=st.floats(2**-7, 1.0, width=32)),
        arrays(np.int32, shape[1], elements=st.integers(0, shape[2] - 1)),
    )
)


@given(drawn=MODELS, most=st.integers(1, 4), worth=st.sampled_from([accuracy, unlogged]))
@settings(max_examples=60, deadline=None)
def test_it_is_never_worse_than_the_best_alone_and_keeps_to_its_bounds(
    drawn: tuple[Probabilities, Labels], most: int, worth: Callable[[Probabilities, Labels], float]
) -> None:
    raw, labels = drawn
    probabilities = raw / raw.sum(axis=2, keepdims=True)
    picks = forward_selection(probabilities, labels, worth, most)
    assert 1 <= (picks > 0).sum() <= most
    assert picks.sum() <= MOST_PICKS
    alone = max(worth(one, labels) for one in probabilities)
    assert worth(averaged(probabilities, picks), labels) >= alone - 1e-6
    assert averaged(probabilities, picks).sum(axis=1) == pytest.approx(1, abs=1e-5)
    again = forward_selection(probabilities, labels, worth, most)
    assert picks.tolist() == again.tolist()


def study(*rows: list[float]) -> Probabilities:
    """Models of two classes, by the probability of the second one for each image."""
    second = np.array(rows, np.float32)
    return np.stack([1 - second, second], axis=2)


LABELS = np.array([1, 1, 1, 0], np.int32)


def test_two_that_err_on_different_images_go_together() -> None:
    models = study([0.9, 0.9, 0.4, 0.1], [0.9, 0.4, 0.9, 0.1], [0.4, 0.4, 0.9, 0.1])
    picks = forward_selection(models, LABELS, accuracy, 3)
    assert picks.tolist() == [1, 1, 0]
    assert accuracy(averaged(models, picks), LABELS) == 1


def test_a_model_may_be_picked_more_than_once() -> None:
    """The mean of both gets the third image wrong, that with two parts of the first right."""
    models = study([0.9, 0.9, 0.6, 0.6], [0.9, 0.3, 0.35, 0.1])
    picks = forward_selection(models, LABELS, accuracy, 2)
    assert picks.tolist() == [2, 1]
    assert accuracy(averaged(models, picks), LABELS) == 1


def test_of_equally_good_averages_the_one_of_the_fewest_models_is_kept() -> None:
    models = study([0.9, 0.9, 0.9, 0.1], [0.99, 0.99, 0.99, 0.01])
    assert forward_selection(models, LABELS, accuracy, 2).tolist() == [0, 1]


def test_one_model_at_most_is_the_best_one() -> None:
    models = study([0.9, 0.4, 0.4, 0.1], [0.9, 0.9, 0.4, 0.1])
    assert forward_selection(models, LABELS, accuracy, 1).tolist() == [0, 1]


def test_the_best_in_equal_parts_are_those_that_are_best_alone_and_of_equals_the_first() -> None:
    models = study([0.4, 0.4, 0.4, 0.1], [0.9, 0.9, 0.9, 0.1], [0.9, 0.4, 0.4, 0.1], [0.4, 0.9, 0.4, 0.1])

    def picked(number: int) -> Picks:
        return best_in_equal_parts(models, LABELS, accuracy, number)

    assert picked(1).tolist() == [0, 1, 0, 0]
    assert picked(2).tolist() == [0, 1, 1, 0]
    assert averaged(models, picked(2))[:, 1] == pytest.approx([0.9, 0.65, 0.65, 0.1])
