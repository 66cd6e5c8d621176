"""When an exported model counts as the trained one, by hand-worked probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from harness.deploy.parity import compare
from harness.deploy.tolerance import FLOAT32, INT8
from harness.errors import ExportError


def _of_two(first: list[float]) -> npt.NDArray[np.float32]:
    """Probabilities of two classes, (n, 2), by those of the first."""
    return np.array([[one, 1 - one] for one in first], np.float32)


def _labels(images: int) -> npt.NDArray[np.int32]:
    return np.zeros(images, np.int32)


def test_rounding_may_turn_what_a_model_is_unsure_of() -> None:
    """Thirty of a hundred change their class, as often for the better; none of them was clear."""
    expected = _of_two([0.95] * 70 + [0.52] * 15 + [0.48] * 15)
    rounded = _of_two([0.95] * 70 + [0.48] * 15 + [0.52] * 15)
    parity = compare("model_int8.tflite", rounded, expected, _labels(100), INT8)
    assert (parity.same_class, parity.lost) == (70, 0)


def test_rounding_may_not_turn_what_a_model_is_sure_of() -> None:
    """Eleven of a hundred clear ones are turned, and eleven others won by it."""
    expected = _of_two([0.9] * 50 + [0.1] * 50)
    rounded = _of_two([0.1] * 11 + [0.9] * 39 + [0.9] * 11 + [0.1] * 39)
    with pytest.raises(ExportError, match=r"22 of 100 get another class; the same class is expected"):
        compare("model_int8.tflite", rounded, expected, _labels(100), INT8)


def test_rounding_may_lose_two_in_a_hundred() -> None:
    expected = _of_two([0.54] * 3 + [0.9] * 97)
    with pytest.raises(ExportError, match="3 of them are lost, and 2 are allowed"):
        compare("model_int8.tflite", _of_two([0.46] * 3 + [0.9] * 97), expected, _labels(100), INT8)
    two = _of_two([0.46] * 2 + [0.54] + [0.9] * 97)
    assert compare("model_int8.tflite", two, expected, _labels(100), INT8).lost == 2


def test_a_model_that_is_never_sure_is_not_replaced_by_any_other() -> None:
    """Where there are only ties, all images count: a model that predicts something else is none of it."""
    expected = _of_two([0.52, 0.48] * 50)
    labels = np.arange(100, dtype=np.int32) % 2
    with pytest.raises(ExportError, match="the same class is expected"):
        compare("model_int8.tflite", 1 - expected, expected, labels, INT8)


def test_float32_keeps_every_class_but_of_ties() -> None:
    expected = _of_two([0.50005, 0.9])
    assert compare("model.onnx", _of_two([0.49998, 0.9]), expected, None, FLOAT32).same_class == 1
    with pytest.raises(ExportError, match=r"a difference of 0\.0001 is allowed"):
        compare("model.onnx", _of_two([0.4999, 0.9]), expected, None, FLOAT32)
