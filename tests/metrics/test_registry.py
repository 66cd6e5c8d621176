"""What holds for every registered metric, and what experiments and trainings make of the registry."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.experiment.load import restore
from harness.experiment.schema import SCORES
from harness.metrics import MEASURES, METRICS, VALIDATION, is_maximized
from harness.metrics.counting import predictions_of
from harness.train.metrics import evaluation, summary
from tests.studies import SPACE

CLASSES = 7
"""More than five, so that not every image is a hit of five."""
COMPARED = ("auroc_macro",)
"""Metrics that have nothing to say of a split with one class."""


@st.composite
def predictions(draw: st.DrawFn) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Logits and labels of 1 to 20 images."""
    count = draw(st.integers(1, 20))
    labels = draw(st.lists(st.integers(0, CLASSES - 1), min_size=count, max_size=count))
    logit = st.floats(-50, 50, width=32)
    logits = draw(
        st.lists(st.lists(logit, min_size=CLASSES, max_size=CLASSES), min_size=count, max_size=count)
    )
    return np.array(logits, np.float32), np.array(labels, np.int32)


@pytest.mark.parametrize("name", METRICS)
@given(found=predictions(), seed=st.integers(0, 9))
def test_a_metric_is_a_finite_number_that_does_not_go_by_the_order_of_images(
    name: str, found: tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]], seed: int
) -> None:
    logits, labels = found
    value = summary(logits, labels)[name]
    assert type(value) is float
    assert math.isfinite(value)
    order = np.random.default_rng(seed).permutation(len(labels))
    assert summary(logits[order], labels[order])[name] == pytest.approx(value)


@pytest.mark.parametrize("name", METRICS)
@given(found=predictions())
def test_nothing_is_better_than_to_be_sure_and_right(
    name: str, found: tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]
) -> None:
    """So the registry has the direction right; and to be sure and wrong is worse."""
    logits, labels = found
    assume(name not in COMPARED or len(set(labels.tolist())) > 1)
    sign = 1 if METRICS[name].maximize else -1
    right = summary(200 * np.eye(CLASSES, dtype=np.float32)[labels], labels)[name]
    wrong = summary(-200 * np.eye(CLASSES, dtype=np.float32)[labels], labels)[name]
    assert sign * right >= sign * summary(logits, labels)[name]
    assert sign * right > sign * wrong


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.by_image])
@given(found=predictions())
def test_the_values_of_the_images_have_the_metric_as_their_mean(
    name: str, found: tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]
) -> None:
    by_image = METRICS[name].by_image
    assert by_image is not None
    values = by_image(predictions_of(*found))
    assert values.shape == found[1].shape
    assert values.mean() == pytest.approx(summary(*found)[name], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.by_image])
def test_the_values_of_the_images_tell_how_the_metric_differs_over_other_images(name: str) -> None:
    """Over resampled images the mean of their values goes with the metric, and varies as much."""
    by_image = METRICS[name].by_image
    assert by_image is not None
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, 600).astype(np.int32)
    logits = rng.normal(size=(600, CLASSES)).astype(np.float32)
    logits[np.arange(600), labels] += 1
    values = by_image(predictions_of(logits, labels))
    draws = rng.integers(0, 600, (300, 600))
    metric = np.array([summary(logits[rows], labels[rows])[name] for rows in draws])
    means = values[draws].mean(axis=1)
    assert np.corrcoef(metric, means)[0, 1] > 0.98
    assert means.std() == pytest.approx(metric.std(), rel=0.05)


def test_whatever_is_registered_is_in_every_evaluation() -> None:
    logits, labels = np.eye(2, dtype=np.float32), np.array([0, 1], np.int32)
    assert list(summary(logits, labels)) == list(METRICS)
    assert list(evaluation("validation", logits, labels, ["a", "b"]).metrics) == list(METRICS)


@pytest.mark.parametrize("name", SCORES)
def test_whatever_is_registered_can_be_searched_for_in_its_own_direction(name: str) -> None:
    found = restore({"name": "e", "space": SPACE, "objectives": [{"metric": name}]})
    assert found.objective.name == name
    assert found.objective.maximize == METRICS[name.removeprefix(VALIDATION)].maximize == is_maximized(name)


@pytest.mark.parametrize("name", MEASURES)
def test_whatever_is_measured_of_a_network_is_to_be_small(name: str) -> None:
    assert not is_maximized(name)
    sections = {"objectives": [{"metric": "val_loss"}, {"metric": name}], "scheduler": {"kind": "none"}}
    found = restore({"name": "e", "space": SPACE, **sections})
    assert not found.objectives[1].maximize
    assert found.measured == (name,)
    assert restore({"name": "e", "space": SPACE, "constraints": {name: 3}}).measured == (name,)


@pytest.mark.parametrize(("name", "about"), [*((n, m.about) for n, m in METRICS.items()), *MEASURES.items()])
def test_names_are_words_and_each_is_described_in_a_sentence(name: str, about: str) -> None:
    assert name.isidentifier()
    assert name == name.lower()
    assert not name.startswith(VALIDATION)
    assert about[0].isupper()
    assert about.endswith(".")
