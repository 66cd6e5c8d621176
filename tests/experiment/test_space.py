"""The search space: what is allowed, what is refused and why, and what comes out."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ExperimentError
from harness.experiment.describe import describe
from harness.experiment.distributions import Choice, Constant, Distribution, FloatRange, IntRange
from harness.experiment.drawing import defaults
from harness.experiment.keys import program_key
from harness.experiment.parameters import CATALOG, LEARNING_RATES, applies, complete
from harness.experiment.space import resolve
from harness.experiment.space_file import parse_space
from harness.experiment.space_ranges import read_values
from harness.model.parameter import Parameter
from harness.records import Scalar
from tests.experiment.spaces import searched

SPACE: dict[str, Any] = {
    "depth": {"type": "int", "low": 1, "high": 4},
    "width": {"type": "int", "low": 8, "high": 128, "log": True},
    "kernel_size": {"type": "int", "low": 3, "high": 7},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.05},
    "l2": {"type": "float", "low": 1e-6, "high": 1e-2, "log": True},
    "optimizer": ["sgd", "momentum", "adam"],
    "learning_rate": "auto",
    "momentum": {"type": "float", "low": 0.8, "high": 0.99, "when": {"optimizer": "momentum"}},
    "batch_size": 64,
}


def sampler(seed: int) -> Any:
    rng = random.Random(seed)

    def suggest(_: str, among: Distribution) -> Scalar:
        if isinstance(among, Choice):
            return rng.choice(among.choices)
        if isinstance(among, IntRange):
            return rng.randrange(among.low, among.high + 1, among.step or 1)
        return rng.uniform(among.low, among.high)

    return suggest


@given(st.integers(0, 10**9))
def test_every_configuration_is_complete_valid_and_repeatable(seed: int) -> None:
    space = parse_space(SPACE)
    params, sampled = resolve(space, sampler(seed))
    assert (params, sampled) == resolve(space, sampler(seed))
    full = complete(params)
    assert full.keys() == CATALOG.keys()
    assert full["batch_size"] == 64
    assert full["kernel_size"] in (3, 5, 7)
    assert ("momentum" in sampled) == (params["optimizer"] == "momentum")
    rates = LEARNING_RATES[str(params["optimizer"])]
    assert rates.low <= float(params["learning_rate"]) <= rates.high
    assert f"learning_rate[{params['optimizer']}]" in sampled


def test_a_range_of_odd_numbers_has_only_odd_ones_whatever_the_parameter_is_called() -> None:
    window = Parameter("window", "int", 3, "Side of a window, odd.", 1, 11, odd=True)
    entry = {"type": "int", "low": 3, "high": 9}
    assert read_values(window, entry) == IntRange(3, 9, 2)
    assert read_values(window, entry | {"step": 4}) == IntRange(3, 7, 4)
    assert read_values(replace(window, odd=False), entry) == IntRange(3, 9)


def test_short_forms_are_what_they_stand_for() -> None:
    space = parse_space({"depth": 2, "optimizer": ["sgd", "adam"], "l2": {"type": "constant", "value": 0.1}})
    values = {name: alternatives[0].values for name, alternatives in space.parameters.items()}
    assert values == {"depth": Constant(2), "optimizer": Choice(("sgd", "adam")), "l2": Constant(0.1)}
    assert searched(space) == ["optimizer"]


def test_conditions_come_before_what_they_decide() -> None:
    space = parse_space(
        {
            "augmentation_strength": {"type": "float", "low": 0, "high": 1, "when": {"augmentation": "flip"}},
            "augmentation": ["none", "flip"],
        }
    )
    assert list(space.parameters) == ["augmentation", "augmentation_strength"]


def test_alternatives_of_one_parameter_have_names_of_their_own() -> None:
    space = parse_space(
        {
            "optimizer": ["sgd", "adam"],
            "learning_rate": [
                {"type": "float", "low": 0.01, "high": 0.1, "when": {"optimizer": "sgd"}},
                {"type": "constant", "value": 1e-3, "when": {"optimizer": "adam"}},
            ],
        }
    )
    assert searched(space) == ["optimizer", "learning_rate[sgd]"]
    assert space.parameters["learning_rate"][0].values == FloatRange(0.01, 0.1)


def test_defaults_lie_inside_the_space() -> None:
    found = defaults(
        parse_space(SPACE | {"depth": {"type": "int", "low": 5, "high": 6}, "optimizer": ["sgd", "momentum"]})
    )
    assert found["depth"] == 5
    assert found["optimizer"] == "sgd"
    assert found["learning_rate"] == LEARNING_RATES["sgd"].default
    steps = {"type": "float", "low": 0.04, "high": 0.5, "step": 0.05}
    assert defaults(parse_space({"dropout": steps}))["dropout"] == pytest.approx(0.09)
    assert defaults(parse_space({"width": {"type": "int", "low": 5, "high": 99, "step": 10}}))["width"] == 35
    assert defaults(parse_space({"width": {"type": "int", "low": 5, "high": 34, "step": 10}}))["width"] == 25
    rates = {
        "sgd": ({"type": "float", "low": 0.001, "high": 0.01}, 0.01),
        "adam": ({"type": "categorical", "choices": [0.3, 0.5]}, 0.3),
    }
    for optimizer, (values, rate) in rates.items():
        space = parse_space(
            {"optimizer": [optimizer], "learning_rate": [values | {"when": {"optimizer": optimizer}}]}
        )
        assert defaults(space)["learning_rate"] == rate


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dropuot": 0.1}, "space.dropuot: there is no such parameter; did you mean dropout?"),
        (
            {"depth": {"type": "int", "low": 4, "high": 1}},
            "space.depth: the range is empty: low 4 is above high 1",
        ),
        ({"depth": {"type": "int", "low": 1, "high": 9}}, "space.depth: 9 is not between 1 and 6"),
        ({"depth": {"type": "int", "low": 1}}, "space.depth: high is missing"),
        ({"depth": {"type": "float", "low": 1, "high": 2}}, "takes type int"),
        ({"depth": {"type": "itn", "low": 1, "high": 2}}, "did you mean int?"),
        ({"depth": {"type": "int", "low": 1, "hihg": 2}}, "did you mean high?"),
        ({"depth": 2.5}, "space.depth: 2.5 is not a whole number"),
        ({"depth": None}, "space.depth: None is not a value"),
        ({"depth": []}, "the choices are empty"),
        ({"depth": [1, 1]}, "a choice stands twice"),
        ({"batch_norm": [True, 1]}, "1 is not true or false"),
        ({"kernel_size": 4}, "4 is not odd"),
        ({"l2": {"type": "float", "low": 0, "high": 1, "log": True}}, "log needs low above 0"),
        ({"l2": {"type": "float", "low": float("nan"), "high": 1}}, "not a finite number"),
        ({"l2": {"type": "float", "low": 0, "high": float("inf")}}, "not a finite number"),
        ({"l2": {"type": "float", "low": 0.1, "high": 1, "log": True, "step": 0.1}}, "exclude each other"),
        ({"optimizer": ["adam", "adm"]}, "'adm' is not one of"),
        (
            {"momentum": {"type": "float", "low": 0, "high": 0.9, "when": {"optimiser": "sgd"}}},
            "optimiser is not in the space; did you mean optimizer?",
        ),
        (
            {"momentum": {"type": "float", "low": 0, "high": 0.9, "when": {"optimizer": "rmsprop"}}},
            "optimizer is never 'rmsprop'",
        ),
        (
            {
                "l1": {"type": "float", "low": 0, "high": 1, "when": {"l2": 0.0}},
                "l2": {"type": "float", "low": 0, "high": 1, "when": {"l1": 0.0}},
            },
            "depends on itself",
        ),
        (
            {
                "l1": [
                    {"type": "constant", "value": 0.1, "when": {"optimizer": ["sgd", "adam"]}},
                    {"type": "constant", "value": 0.2, "when": {"optimizer": "adam"}},
                ]
            },
            "two alternatives can hold at once",
        ),
        ({"family": "baseline"}, "space.depth: has no effect on baseline; only on cnn"),
    ],
)
def test_mistakes_are_named_with_their_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        parse_space(SPACE | changes)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["augmentation", "mixing_strength", "unfreeze_rate"])
def test_what_needs_a_backbone_that_is_trained_has_no_effect_without_one(name: str) -> None:
    value = {"augmentation": "flip", "mixing_strength": 0.3, "unfreeze_rate": 0.2}[name]
    head: dict[str, Any] = {"family": "pretrained", name: value}
    with pytest.raises(
        ExperimentError, match=f"space.{name}: has no effect on pretrained while unfreeze is 0"
    ):
        parse_space(head)
    for unfreeze in (2, [0, 2], {"type": "int", "low": 0, "high": 4}):
        parse_space(head | {"unfreeze": unfreeze})
    assert not applies(name, complete(head | {"mixing": "cutmix", "augmentation": "flip"}))
    assert applies(name, complete(head | {"mixing": "cutmix", "augmentation": "flip", "unfreeze": 1}))


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ExperimentError) as caught:
        parse_space({"dropuot": 0, "depth": 9, "optimizer": "adm"})
    assert len(str(caught.value).split("\n")) == 3


def test_complete_refuses_what_the_catalog_does_not_allow() -> None:
    with pytest.raises(ExperimentError, match="did you mean width"):
        complete({"widht": 3})
    with pytest.raises(ExperimentError, match="not between"):
        complete({"dropout": 2.0})


def test_a_plug_in_keeps_its_own_parameters_and_its_name() -> None:
    space = parse_space({"filters": {"type": "int", "low": 4, "high": 8}, "optimizer": "sgd"}, "mine:build")
    params, sampled = resolve(space, sampler(0))
    full = complete(params, space.model)
    assert sampled == {"filters": full["filters"]}
    assert (full["family"], full["model"], full["optimizer"]) == ("plugin", "mine:build", "sgd")
    assert program_key(full) != program_key(full | {"filters": 99})
    assert program_key(full) == program_key(full | {"learning_rate": 1.0})


OWN = {
    "backbone": ["mine", "yours"],
    "image_size": {"type": "float", "low": 0.5, "high": 2.0},
    "head_width": {"type": "int", "low": 1, "high": 100_000},
    "views": [True, False],
    "stem": {"type": "int", "low": 1, "high": 2},
    "depth": 99,
    "unfreeze": "late",
    "unfreeze_rate": ["slow", "fast"],
}
"""Parameters that families have too, with values that none of them allows."""


@pytest.mark.parametrize("name", OWN)
def test_a_plug_in_may_have_parameters_that_families_have_too(name: str) -> None:
    space = parse_space({name: OWN[name]}, "mine:build")
    for params in (resolve(space, sampler(0))[0], defaults(space)):
        full = complete(params, space.model)
        assert full[name] == params[name]
        assert complete({}, space.model).keys() == full.keys()
        assert program_key(full) != program_key(full | {name: "other"})
    assert describe(space)[0]["about"] == "the plug-in's own"
    with pytest.raises(ExperimentError):
        parse_space({name: OWN[name]})


def test_a_plug_ins_other_parameters_are_what_they_are_in_families() -> None:
    for entries in ({"dropout": 2.0}, {"batch_size": "many"}, {"optimizer": "adm"}):
        with pytest.raises(ExperimentError):
            parse_space(entries, "mine:build")
        with pytest.raises(ExperimentError):
            complete(entries, "mine:build")


def test_signatures_ignore_numbers_but_not_structure() -> None:
    base = complete({"dropout": 0.1, "l2": 1e-3})
    assert program_key(base) == program_key(
        base | {"dropout": 0.4, "learning_rate": 1.0, "l2": 1.0, "schedule": "cosine"}
    )
    assert program_key(base) == program_key(base | {"momentum": 0.5})
    for change in ({"depth": 5}, {"dropout": 0.0}, {"batch_size": 8}, {"optimizer": "momentum"}, {"l2": 0.0}):
        assert program_key(base) != program_key(base | change)
    assert not applies("momentum", base)
    assert not applies("cell", base)
    assert applies("depth", base)
    moving = base | {"optimizer": "momentum"}
    assert program_key(moving) != program_key(moving | {"momentum": 0.5})
