"""How long a worker may say nothing goes by the size of what it trains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.experiment.parameters import complete, multiply_adds
from harness.model.families import FAMILIES
from harness.model.network import build
from harness.model.preprocessing import PixelStatistics
from harness.records import Dataset, Segment
from harness.sweeping.silence import EPOCHS, FIRST_SECONDS, START_SECONDS, EpochTimes
from tests.additions.model_family import FAMILY as ADDED

SHAPE = (32, 32, 3)


def segment(**params: Any) -> Segment:
    model = params.pop("model", None)
    return Segment(
        study_folder="",
        trial=0,
        attempt=1,
        params=complete(params, model),
        seed=0,
        start=0,
        stop=1,
        max_epochs=1,
        dataset=Dataset(
            name="d",
            folder="d",
            split="s",
            digest="0",
            classes=("a", "b"),
            image_shape=SHAPE,
            counts={"train": 1000, "validation": 1, "test": 1},
            class_counts={},
        ),
    )


def test_before_any_epoch_has_been_timed_there_is_plenty_of_time() -> None:
    assert EpochTimes().limit(segment(depth=1)) == FIRST_SECONDS


def test_a_large_configuration_after_small_ones_has_more_time() -> None:
    times = EpochTimes()
    small = segment(depth=1, width=8)
    times.learn(small, 2.0)
    assert times.limit(small) == START_SECONDS + EPOCHS * 2
    large = segment(depth=3, width=128)
    ratio = multiply_adds(large.params, SHAPE) / multiply_adds(small.params, SHAPE)
    assert ratio > 100
    assert times.limit(large) == pytest.approx(START_SECONDS + EPOCHS * 2 * ratio)
    # What has been seen is never too long.
    times.learn(small, 50.0)
    assert times.limit(replace(small, params=small.params | {"train_fraction": 0.1})) >= EPOCHS * 50


def test_nobody_knows_the_size_of_a_familys_network_that_comes_without_an_estimate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FAMILIES, "striped", ADDED)
    times = EpochTimes()
    times.learn(segment(depth=1, width=8), 1.0)
    of_another = segment()
    added = replace(of_another, params=of_another.params | {"family": "striped", "stripes": 2})
    assert times.limit(added) == FIRST_SECONDS
    times.learn(added, 500.0)
    assert times.limit(added) == START_SECONDS + EPOCHS * 500


def test_nobody_knows_the_size_of_a_plug_ins_network() -> None:
    times = EpochTimes()
    own = segment(model="mine:build")
    times.learn(own, 1.0)
    assert times.limit(own) == FIRST_SECONDS
    times.learn(own, 500.0)
    assert times.limit(own) == START_SECONDS + EPOCHS * 500


@pytest.mark.parametrize(
    "params",
    [
        {"depth": 1, "width": 8},
        {"depth": 4, "width": 16, "convs": 2, "kernel_size": 5},
        {"family": "resnet", "depth": 2, "width": 16, "stages": 3},
        {"family": "baseline"},
        {"family": "rnn", "depth": 2, "width": 32},
        {"family": "rnn", "depth": 3, "width": 16, "cell": "lstm", "bidirectional": False},
    ],
)
def test_the_rough_size_is_near_the_networks_own(params: dict[str, Any]) -> None:
    """Within a factor of two of the multiply-adds that its layers' kernels and outputs make."""
    whole = complete({"family": "cnn", **params})
    network = build(whole, SHAPE, 10, PixelStatistics((0.0,) * 3, (1.0,) * 3))
    exact = 0.0
    for layer in network.layers:
        for weight in layer.trainable_weights:
            if weight.name not in ("kernel", "recurrent_kernel"):
                continue
            size = float(weight.shape.num_elements())
            shape = layer.output.shape
            if len(shape) == 4:  # a convolution: once for every place
                exact += size * shape[1] * shape[2]
            elif whole["family"] == "rnn" and layer.name.startswith(("recurrent", "both_ways")):
                exact += size * SHAPE[0]
            elif layer.name != "dense":
                exact += size
    estimate = multiply_adds(whole, SHAPE)
    assert estimate is not None
    assert 0.5 < estimate / exact < 2
