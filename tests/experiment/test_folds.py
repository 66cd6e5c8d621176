"""Epochs that are counted through all folds of a trial, and what a file with folds may say."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ExperimentError
from harness.experiment.folds import ONE_TRAINING, Folds
from harness.experiment.load import dump, load, restore

FOLDS = st.builds(Folds, st.integers(2, 8), st.integers(1, 3), st.integers(1, 30))


@settings(deadline=None)
@given(FOLDS)
def test_every_epoch_belongs_to_one_training(folds: Folds) -> None:
    epochs = list(range(1, folds.all_epochs + 1))
    places = [(folds.fold_of(epoch), epoch - folds.before(epoch)) for epoch in epochs]
    of_folds: list[int | None] = [*range(folds.number), None]
    assert places == [(fold, own) for fold in of_folds for own in range(1, folds.epochs + 1)]
    for fold in range(folds.number):
        assert folds.finished(folds.ends(fold)) == fold + 1
        assert folds.finished(folds.ends(fold) - 1) == fold


@settings(deadline=None)
@given(FOLDS, st.data())
def test_all_images_are_trained_on_for_as_long_as_the_folds_took(folds: Folds, data: st.DataObject) -> None:
    took = [data.draw(st.integers(1, folds.epochs)) for _ in range(folds.number)]
    trained = [fold * folds.epochs + own for fold, last in enumerate(took) for own in range(1, last + 1)]
    ends = [fold * folds.epochs + last for fold, last in enumerate(took)]
    assert folds.last_epochs(trained, len(took)) == ends
    assert folds.whole_epochs(trained) in took
    below = sum(last < folds.whole_epochs(trained) for last in took)
    above = sum(last > folds.whole_epochs(trained) for last in took)
    assert max(below, above) <= len(took) / 2


@settings(deadline=None)
@given(st.integers(1, 1000))
def test_without_folds_there_is_one_training(epoch: int) -> None:
    assert ONE_TRAINING.before(epoch) == ONE_TRAINING.finished(epoch) == 0
    assert ONE_TRAINING.fold_of(epoch) is None
    assert Folds(0, 1, epoch).all_epochs == epoch


def test_the_standard_error_knows_that_folds_share_images() -> None:
    folds = Folds(5, 1, 1)
    scores = [0.90, 0.92, 0.94, 0.96, 0.98]
    deviation = math.sqrt(sum((score - 0.94) ** 2 for score in scores) / 4)
    assert folds.standard_error(scores) == pytest.approx(deviation * math.sqrt(1 / 5 + 1 / 4))
    assert folds.standard_error(scores[:1]) is None


def test_what_has_no_effect_with_folds_is_told() -> None:
    found = load("quickstart", ["dataset.folds=5", "dataset.validation_fraction=0.3"])
    said = " ".join(found.advice)
    assert "dataset.validation_fraction: it has no effect with dataset.folds" in said
    assert "scheduler.min_epochs, scheduler.reduction: no effect with dataset.folds" in said
    assert restore(dump(found)).folds == Folds(5, 1, 18)
    assert load("quickstart", ["dataset.folds=5", "scheduler={kind: none}"]).advice == ()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("dataset.folds=1", "greater than or equal to 2"),
        ("dataset.repeats=2", "without folds there is nothing to repeat"),
    ],
)
def test_a_mistake_is_told(override: str, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        load("quickstart", [override])
