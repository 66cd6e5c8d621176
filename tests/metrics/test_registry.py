"""What holds for every registered metric, and what experiments and trainings make of the registry."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment.load import restore
from harness.experiment.schema import SCORES
from harness.metrics import MEASURES, METRICS, VALIDATION, is_maximized
from harness.train.metrics import evaluation, summary
from tests.studies import SPACE

CLASSES = 3


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
    sign = 1 if METRICS[name].maximize else -1
    right = summary(200 * np.eye(CLASSES, dtype=np.float32)[labels], labels)[name]
    wrong = summary(200 * np.eye(CLASSES, dtype=np.float32)[(labels + 1) % CLASSES], labels)[name]
    assert sign * right >= sign * summary(logits, labels)[name]
    assert sign * right > sign * wrong


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
