"""Metrics against hand-worked figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
    top_k_accuracy_score,
)

from harness.metrics.loss import cross_entropy
from harness.predictions import softmax
from harness.train.metrics import evaluation, summary

LOGITS = np.array([[2, 0, 0], [2, 0, 0], [0, 2, 0], [0, 2, 0]], np.float32)
LABELS = np.array([0, 1, 1, 1], np.int32)


def test_a_hand_worked_example() -> None:
    """Class 0: precision 1/2, recall 1. Class 1: precision 1, recall 2/3. Class 2 is absent: left out."""
    found = summary(LOGITS, LABELS)
    assert found["accuracy"] == pytest.approx(3 / 4)
    assert found["precision_macro"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["recall_macro"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["f1_macro"] == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_the_confusion_matrix_has_true_classes_in_rows() -> None:
    found = evaluation("test", LOGITS, LABELS, ["a", "b", "c"])
    assert found.confusion == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert [row["support"] for row in found.per_class] == [1, 3, 0]
    assert found.per_class[1]["recall"] == pytest.approx(2 / 3)


def test_loss_and_probabilities_agree_with_scipy_even_for_large_logits() -> None:
    logits = np.random.default_rng(0).normal(0, 200, (50, 7)).astype(np.float32)
    labels = np.arange(50, dtype=np.int32) % 7
    expected = log_softmax(logits.astype(np.float64), axis=1)
    assert cross_entropy(logits, labels) == pytest.approx(-expected[np.arange(50), labels].mean())
    np.testing.assert_allclose(softmax(logits), np.exp(expected), atol=1e-7)


@given(st.integers(2, 6), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60))
def test_every_figure_is_scikit_learns(classes: int, pairs: list[tuple[int, int]]) -> None:
    labels = np.array([true % classes for true, _ in pairs], np.int32)
    predicted = np.array([guess % classes for _, guess in pairs])
    logits = np.eye(classes, dtype=np.float32)[predicted]
    found = evaluation("test", logits, labels, [str(index) for index in range(classes)])
    every = np.arange(classes)
    scores = precision_recall_fscore_support(labels, predicted, labels=every, zero_division=0)
    for column, name in enumerate(("precision", "recall", "f1", "support")):
        assert [row[name] for row in found.per_class] == pytest.approx(list(scores[column]))
    present = np.unique(labels)
    macro = precision_recall_fscore_support(
        labels, predicted, labels=present, average="macro", zero_division=0
    )
    for column, name in enumerate(("precision", "recall", "f1")):
        assert found.metrics[f"{name}_macro"] == pytest.approx(macro[column])
        if len(present) == classes:  # to the last bit as before classes could be left out
            every_one = np.array([row[name] for row in found.per_class])
            assert found.metrics[f"{name}_macro"] == float(every_one.mean())
    assert found.metrics["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert found.confusion == confusion_matrix(labels, predicted, labels=every).tolist()
    assert found.metrics["balanced_accuracy"] == pytest.approx(np.mean(scores[1][present]))


@pytest.mark.parametrize("classes", [3, 8])
@pytest.mark.parametrize("seed", range(5))
def test_every_metric_is_scikit_learns_to_a_billionth(classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 200)]).astype(np.int32)
    logits = rng.normal(0, 3, (len(labels), classes)).astype(np.float32)
    logits[:40] = np.round(logits[:40])  # equal ones among them
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)  # another way would round equal ones apart
    predicted = logits.argmax(axis=1)
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, average="macro", zero_division=0
    )
    expected = {
        "accuracy": accuracy_score(labels, predicted),
        "loss": log_loss(labels, probabilities),
        "precision_macro": precision,
        "recall_macro": recall,
        "f1_macro": f1,
        "balanced_accuracy": balanced_accuracy_score(labels, predicted),
        "auroc_macro": roc_auc_score(labels, probabilities, multi_class="ovr", average="macro"),
    }
    found = summary(logits, labels)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name
    distinct = summary(logits[40:], labels[40:])["top5_accuracy"]
    hits = 1.0
    if classes > 5:
        hits = top_k_accuracy_score(labels[40:], logits[40:], k=5, labels=np.arange(classes))
    assert distinct == pytest.approx(hits, abs=1e-9)


def test_five_are_enough_for_five_classes_and_of_equals_none_is_preferred() -> None:
    labels = np.array([0, 0, 0, 6], np.int32)
    logits = np.array(
        [[1, 2, 3, 4, 5, 6, 0], [2, 2, 3, 4, 5, 6, 0], [0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0]],
        np.float32,
    )
    # Preferred to the true class are five, four, none and five others.
    assert summary(logits, labels)["top5_accuracy"] == 2 / 4
    assert summary(logits[:1, :5], labels[:1])["top5_accuracy"] == 1


def test_the_area_of_a_class_counts_pairs_of_images_and_equal_ones_by_half() -> None:
    """Class 0 gets .7 and .5, the others get .5 and .1: of 4 pairs 3 are in order and 1 is equal."""
    of_first = np.array([0.7, 0.5, 0.5, 0.1])
    logits = np.log(np.stack([of_first, 1 - of_first], axis=1)).astype(np.float32)
    labels = np.array([0, 0, 1, 1], np.int32)
    assert summary(logits, labels)["auroc_macro"] == pytest.approx(3.5 / 4)
    # A third class, of which there is no image, does not count; of one class alone nothing is known.
    third = np.concatenate([logits, np.full((4, 1), -9, np.float32)], axis=1)
    assert summary(third, labels)["auroc_macro"] == pytest.approx(3.5 / 4)
    assert summary(logits, np.zeros(4, np.int32))["auroc_macro"] == 0.5
