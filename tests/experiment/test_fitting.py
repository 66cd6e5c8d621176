"""Overrides of a built-in experiment's space leave out what can never hold beside them, and say so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ExperimentError
from harness.experiment.distributions import Constant, FloatRange, IntRange, listed
from harness.experiment.drawing import defaults
from harness.experiment.experiment import Experiment
from harness.experiment.load import builtin_names, dump, load, restore, single
from harness.experiment.parameters import CATALOG, PLUGIN, complete
from harness.experiment.space_conditions import start_problems

FILE = """name: mine
space:
  family: [cnn, resnet]
  depth:
    - {type: int, low: 1, high: 3, when: {family: cnn}}
    - {type: constant, value: 1, when: {family: resnet}}
  convs: {type: int, low: 1, high: 2, when: {family: cnn}}
  kernel_size: {type: int, low: 3, high: 5, when: {convs: 2}}
  augmentation: [none, flip, flip_shift, trivial]
  augmentation_strength: {type: float, low: 0.2, high: 0.8, when: {augmentation: [flip_shift, trivial]}}
  optimizer: [adam, adamw]
  weight_decay: {type: float, low: 1e-3, high: 0.1, when: {optimizer: adamw}}
  l2: {type: float, low: 0.0, high: 0.1, when: {weight_decay: [0.05]}}
  ema: {type: float, low: 0.5, high: 0.9, when: {depth: [2, 3]}}
start_with:
  - {family: cnn, depth: 2, convs: 1, augmentation: flip_shift, augmentation_strength: 0.5, optimizer: adam}
  - {family: resnet, augmentation: none, optimizer: adamw, weight_decay: 0.01}
"""


def mine(*overrides: str, text: str = FILE) -> Experiment:
    Path("mine.yaml").write_text(text, encoding="utf-8")
    return load("mine.yaml", overrides)


def values_of(experiment: Experiment, name: str) -> list[Any]:
    """The values of a parameter, of a continuous range its ends and middle; of a choice also all others."""
    found: list[Any] = []
    for alternative in experiment.space.parameters[name]:
        values = alternative.values
        every = listed(values)
        if every is None:
            assert isinstance(values, FloatRange | IntRange)
            every = [values.low, (values.low + values.high) / 2, values.high]
        found += every
    parameter = CATALOG.get(name)
    return list(dict.fromkeys([*found, *(parameter.choices if parameter else ())]))


def every_override() -> Iterator[Any]:
    for name in builtin_names():
        experiment = load(name)
        for parameter in experiment.space.parameters:
            yield pytest.param(name, parameter, values_of(experiment, parameter), id=f"{name} {parameter}")


@pytest.mark.parametrize(("name", "parameter", "values"), every_override())
def test_any_parameter_of_a_built_in_experiment_can_be_fixed_to_any_of_its_values(
    name: str, parameter: str, values: list[Any]
) -> None:
    before = load(name)
    for value in values:
        experiment = load(name, [f"space.{parameter}={json.dumps(value)}"])
        (one,) = experiment.space.parameters[parameter]
        assert one.values == Constant(value)
        assert not one.when
        gone = before.space.parameters.keys() - experiment.space.parameters.keys()
        said = " ".join(experiment.search_advice)
        assert all(other in said for other in gone), "nothing is left out in silence"
        assert bool(gone) <= (parameter in said), "and the reason is told"
        assert start_problems(experiment.space, experiment.start_with) == []
        params = complete(defaults(experiment.space), experiment.model)
        assert params[parameter] == value or parameter == "family"
        assert restore(dump(experiment)) == experiment
        if parameter not in CATALOG or params["family"] in (*CATALOG[parameter].families, PLUGIN):
            assert single(experiment).space.parameters[parameter][0].values == Constant(value)


@pytest.mark.parametrize(("name", "parameter", "values"), every_override())
def test_and_be_given_as_a_list_of_one(name: str, parameter: str, values: list[Any]) -> None:
    value = values[-1]
    (one,) = load(name, [f"space.{parameter}=[{json.dumps(value)}]"]).space.parameters[parameter]
    assert listed(one.values) == [value]


def test_a_parameter_without_effect_is_left_out() -> None:
    experiment = mine("space.augmentation=none")
    assert "augmentation_strength" not in experiment.space.parameters
    assert experiment.search_advice == (
        "space: left out augmentation_strength: no effect beside the augmentation that --set gives.",
        "start_with: 1 of the 2 configurations in mine.yaml do not fit the augmentation that --set gives the "
        "space, and are not tried.",
    )


def test_values_of_a_condition_that_some_of_remain_possible() -> None:
    experiment = mine("space.augmentation=[flip, trivial]")
    (strength,) = experiment.space.parameters["augmentation_strength"]
    assert strength.when == {"augmentation": ("trivial",)}
    assert "left out conditions of augmentation_strength that can never hold" in experiment.search_advice[0]


def test_a_parameter_that_has_an_effect_but_no_condition_that_can_hold_has_its_default() -> None:
    experiment = mine("space.augmentation=flip")
    assert "augmentation_strength" not in experiment.space.parameters
    assert "no condition of the file can hold" in experiment.search_advice[0]
    assert "(augmentation_strength 0.5)" in experiment.search_advice[0]


def test_what_follows_from_what_is_left_out_is_left_out_too() -> None:
    """Without cnn there is no `convs`, without it no `kernel_size`; depth is 1, so that there is no `ema`."""
    experiment = mine("space.family=resnet")
    assert experiment.space.parameters.keys() == {
        "family", "depth", "augmentation", "augmentation_strength", "optimizer", "weight_decay", "l2"
    }  # fmt: skip
    assert [one.when for one in experiment.space.parameters["depth"]] == [{"family": ("resnet",)}]
    first, second, third, _ = experiment.search_advice
    assert first == "space: left out convs and kernel_size: no effect beside the family that --set gives."
    assert "left out ema: no condition" in second
    assert "conditions of depth" in third
    assert [start["family"] for start in experiment.start_with] == ["resnet"]


def test_a_range_rules_out_what_is_outside_of_it() -> None:
    text = FILE.replace("when: {optimizer: adamw}", "when: {optimizer: [adam, adamw]}")
    experiment = mine("space.weight_decay={type: float, low: 1e-3, high: 1e-2}", text=text)
    assert "l2" not in experiment.space.parameters
    assert "l2" in mine("space.weight_decay={type: float, low: 1e-3, high: 0.06}", text=text).space.parameters
    assert "ema" in mine("space.depth={type: int, low: 3, high: 4}").space.parameters
    assert "ema" not in mine("space.depth={type: int, low: 1, high: 5, step: 4}").space.parameters


def test_a_parameter_of_the_file_keeps_its_starts_without_what_has_no_effect() -> None:
    experiment = load("quickstart", ["space.family=resnet"])
    assert "head" not in experiment.space.parameters
    assert len(experiment.start_with) == 2
    assert all("head" not in start for start in experiment.start_with)


def test_what_was_typed_is_never_left_out() -> None:
    experiment = mine("space.augmentation=none", "space.augmentation_strength=0.3")
    assert experiment.space.parameters["augmentation_strength"][0].values == Constant(0.3)
    (sentence,) = experiment.advice
    assert sentence == ("--set space.augmentation_strength: it has no effect, because augmentation is none.")
    assert single(experiment).advice == experiment.advice
    with pytest.raises(ExperimentError, match="augmentation is never 'flip_shift'"):
        mine("space.augmentation=none", "space.augmentation_strength.high=0.5")
    with pytest.raises(ExperimentError, match="family is never 'cnn'"):
        mine("space.family=resnet", "space.depth.0.high=2")
    assert "depth" in mine("space.family=cnn", "space.depth.0.high=2").space.parameters
    with pytest.raises(ExperimentError, match=r"--set space\.convs: has no effect on resnet; only on cnn"):
        mine("space.family=resnet", "space.convs=2")
    with pytest.raises(ExperimentError, match=r"--set start_with\.0\.augmentation_strength"):
        mine("space.augmentation=none", "start_with=[{augmentation_strength: 0.5}]")


def test_a_typed_parameter_without_effect_is_told_whatever_makes_it_so() -> None:
    (sentence,) = load("baseline", ["space.momentum=0.5"]).advice
    assert sentence == "--set space.momentum: it has no effect, because optimizer is adam."
    assert load("baseline", ["space.momentum=0.5", "space.optimizer=nesterov"]).advice == ()
    assert load("quickstart", ["space.momentum=0.5"]).advice == ()


@pytest.mark.parametrize(
    ("line", "overrides"),
    [
        (
            "  l1: {type: float, low: 0.0, high: 0.1, when: {augmentation: zoom}}\n",
            ["space.augmentation=none"],
        ),
        ("  l1: {type: float, low: 0.0, high: 0.1, when: {balance: focal}}\n", ["space.family=cnn"]),
        ("  cell: [gru, lstm]\n", ["space.family=cnn"]),
        ("  l1: {type: float, low: 0.0, high: 0.1, when: {augmentation: none}}\n", ["space.optimizer=adm"]),
    ],
)
def test_what_never_fitted_is_refused_as_before(line: str, overrides: list[str]) -> None:
    with pytest.raises(ExperimentError):
        mine(*overrides, text=FILE.replace("start_with", f"{line}start_with"))


@pytest.mark.parametrize(
    "override", ["space.convs=null", "space.convs={}", "space.convs=[]", "space.convs=[[]]"]
)
def test_a_typed_value_that_is_none_is_a_mistake_and_not_left_out(override: str) -> None:
    with pytest.raises(ExperimentError, match=r"--set space\.convs: "):
        mine(override, "space.augmentation=none")


@pytest.mark.parametrize("line", ["", "  l1: {type: constant, value: 0.1, when: {augmentation: []}}\n"])
def test_without_overrides_nothing_is_left_out(line: str) -> None:
    experiment = mine(text=FILE.replace("start_with", f"{line}start_with"))
    assert experiment.search_advice == experiment.advice == ()
    assert experiment.config.space.keys() == experiment.space.parameters.keys()


def test_what_needs_a_backbone_that_is_trained_is_left_out_where_none_is() -> None:
    found = mine("space.family=pretrained")
    assert {"augmentation", "augmentation_strength"}.isdisjoint(found.space.parameters)
    found = mine("space.family=pretrained", "space.unfreeze=[0, 2]")
    assert {"augmentation", "augmentation_strength"} <= found.space.parameters.keys()
    with pytest.raises(ExperimentError, match=r"space\.mixing: has no effect on pretrained while unfreeze"):
        mine("space.family=pretrained", "space.mixing=cutmix")
