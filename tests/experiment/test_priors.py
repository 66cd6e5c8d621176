"""Priors in a file: what is allowed, what is refused and why, and what comes of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.errors import ExperimentError
from harness.experiment.describe import describe
from harness.experiment.distributions import Choice, Constant, Distribution, FloatRange, IntRange, contains
from harness.experiment.drawing import most_probable
from harness.experiment.load import dump, load, load_text, restore
from harness.experiment.priors import PriorError, as_written, drawn, fits, mode, read_prior
from harness.experiment.space_file import parse_space

numbers = st.floats(1e-6, 1e6, allow_nan=False)
words = st.lists(st.sampled_from(["sgd", "adam", "adamw", "lion"]), min_size=1, unique=True)
any_choices = st.one_of(
    words, st.just([True, False]), st.lists(st.integers(1, 512), min_size=1, max_size=6, unique=True)
)


@st.composite
def ranges(draw: Any) -> IntRange | FloatRange:
    log = draw(st.booleans())
    if draw(st.booleans()):
        low = draw(st.integers(1, 100))
        step = None if log else draw(st.sampled_from([None, 1, 2, 5]))
        width = draw(st.integers(0, 50)) * (step or 1)
        return IntRange(low, low + width, step, log)
    low = draw(numbers)
    high = low * draw(st.floats(1, 1e4))
    step = None if log else draw(st.sampled_from([None, (high - low) / 7 or None]))
    return FloatRange(low, high, step, log)


@st.composite
def with_priors(draw: Any) -> tuple[Distribution, Any]:
    """A range or choices, and a prior as a file may have it."""
    if draw(st.booleans()):
        choices = Choice(tuple(draw(any_choices)))
        if draw(st.booleans()):
            return choices, draw(st.sampled_from(choices.choices))
        named = draw(st.lists(st.sampled_from(choices.choices), min_size=1, unique_by=repr))
        words = [one if isinstance(one, str) else str(one).lower() for one in named]
        return choices, {word: draw(st.floats(0.01, 1e6)) for word in words}
    values = draw(ranges())
    center = min(
        max(values.low + draw(st.floats(0, 1)) * (values.high - values.low), values.low), values.high
    )
    if draw(st.booleans()):
        return values, center
    spread = draw(st.floats(1.001, 1e3) if values.log else st.floats(1e-3, 1e3))
    return values, {"center": center, "spread": spread}


@given(with_priors(), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_what_is_drawn_from_a_prior_lies_in_its_range(found: tuple[Distribution, Any], shares: Any) -> None:
    values, written = found
    assume(not isinstance(values, IntRange | FloatRange) or values.low < values.high)
    prior = read_prior(values, written)
    for share in shares:
        assert _in(values, drawn(values, prior, share))
    assert _in(values, mode(values, prior))


def _in(values: Distribution, value: Any) -> bool:
    inside = contains(values, value)
    if isinstance(values, IntRange):
        inside = inside and isinstance(value, int) and (value - values.low) % (values.step or 1) == 0
    return inside


@given(with_priors())
def test_a_prior_can_be_written_as_it_was_read(found: tuple[Distribution, Any]) -> None:
    values, written = found
    assume(not isinstance(values, IntRange | FloatRange) or values.low < values.high)
    prior = read_prior(values, written)
    assert read_prior(values, as_written(values, prior)) == prior
    assert fits(values, as_written(values, prior))


@given(ranges(), st.floats(0, 1), st.floats(0, 1))
def test_more_of_a_prior_lies_below_larger_values(
    values: IntRange | FloatRange, one: float, other: float
) -> None:
    assume(values.low < values.high)
    prior = read_prior(values, values.low)
    low, high = sorted((one, other))
    assert drawn(values, prior, low) <= drawn(values, prior, high)  # type: ignore[operator]


@settings(max_examples=50, deadline=None)
@given(
    st.one_of(ranges(), any_choices.map(lambda found: Choice(tuple(found)))),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["center", "spread", "adam", "x"]), inner, max_size=3)
        ),
        max_leaves=4,
    ),
)
def test_whatever_stands_there_is_a_prior_or_a_mistake_that_is_told(
    values: Distribution, written: Any
) -> None:
    try:
        prior = read_prior(values, written)
    except PriorError as error:
        assert len(str(error)) > 10
        assert "\n" not in str(error)
    else:
        assert _in(values, mode(values, prior))
        assert all(math.isfinite(one) for one in as_written(values, prior).values())


SPACE = """
name: e
space:
  l2: {type: float, low: 1e-6, high: 1e-2, log: true, prior: 1e-4}
  depth: {type: int, low: 1, high: 4, prior: {center: 3, spread: 0.5}}
  dropout:
    - {type: float, low: 0.0, high: 0.2, when: {depth: [1, 2]}, prior: 0.1}
    - {type: float, low: 0.0, high: 0.5, when: {depth: [3, 4]}}
  optimizer: [sgd, adam]
  learning_rate: auto
"""


def test_priors_stand_beside_ranges_and_short_forms_become_long_ones_for_them() -> None:
    given = ["space.optimizer.prior=adam", "space.learning_rate.prior={adam: 0.003}"]
    found = load_text(SPACE, Path("e.yaml"), [*given, "space.dropout.1.prior={center: 0.3, spread: 0.1}"])
    assert {row["values"] for row in describe(found.space)} == {
        "1e-06 to 0.01 (log); probably 0.0001, within a factor of 6.31",
        "1 to 4; probably 3 ± 0.5",
        "0 to 0.2; probably 0.1 ± 0.04",
        "0 to 0.5; probably 0.3 ± 0.1",
        "sgd, adam; probably adam 75 %, sgd 25 %",
        "0.01 to 0.5 (log)",
        "0.0003 to 0.01 (log); probably 0.003, within a factor of 2.02",
    }
    assert restore(dump(found)).space == found.space
    assert most_probable(found.space) == {
        "l2": 1e-4, "depth": 3, "dropout": 0.3, "optimizer": "adam", "learning_rate": 0.003
    }  # fmt: skip


def test_a_space_without_priors_is_recorded_as_it_was() -> None:
    assert "prior" not in str(dump(load("quickstart")))
    assert load("quickstart").space.priors == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("space.optimizer.prior=adm", "--set space.optimizer.prior: 'adm' is not allowed; it must be one of"),
        ("space.optimizer.prior={adm: 2}", "'adm' is not one of sgd, adam; did you mean adam?"),
        ("space.optimizer.prior={adam: 0}", "the weight of adam is 0; it must be a number above 0"),
        ("space.optimizer.prior={}", "it is empty; name a choice"),
        ("space.l2.prior=5", "--set space.l2.prior: 5 is outside of the range from 1e-06 to 0.01"),
        ("space.l2.prior={center: 1e-5, spread: 0.5}", "spread is 0.5; it must be a factor above 1"),
        ("space.depth.prior={center: 2, spread: 0}", "spread is 0; it must be a difference above 0"),
        ("space.depth.prior={centre: 2}", "there is no key 'centre'; there are center and spread"),
        ("space.depth.prior={spread: 2}", "center is missing"),
        ("space.depth.prior=two", "'two' is not allowed; it must be a number within the range, or {center"),
        ("space.l2={type: constant, value: 0.1, prior: 1}", "there is no key 'prior' for type constant"),
        ("space.learning_rate.prior=0.1", "beside type auto it must say what is probably good of an"),
        ("space.learning_rate.prior={adm: 0.1}", "there is no optimizer 'adm'; did you mean adam?"),
        ("space.learning_rate.prior={adam: 5}", "5 is outside of the range from 0.0003 to 0.01"),
        ("space.learning_rate={type: auto, low: 1}", "there is no key 'low' for type auto; there is prior"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_place(given: str, message: str) -> None:
    with pytest.raises(ExperimentError) as error:
        load_text(SPACE, Path("e.yaml"), [given])
    assert message in str(error.value)


def test_a_constant_has_no_prior() -> None:
    with pytest.raises(PriorError, match="a constant has none"):
        read_prior(Constant(3), 3)
    with pytest.raises(ExperimentError, match=r"space\.optimizer\.prior: 3 is not allowed"):
        parse_space({"optimizer": {"type": "categorical", "choices": ["sgd"], "prior": 3}})


def test_samplers_that_go_by_no_priors_say_so() -> None:
    found = load_text(SPACE, Path("e.yaml"), ["search.sampler=qmc"])
    assert any("the sampler qmc goes by no priors" in sentence for sentence in found.search_advice)
    assert not any("priors" in one for one in load_text(SPACE, Path("e.yaml")).search_advice)


@pytest.mark.parametrize(
    ("optimizer", "its"),
    [("", "adam"), ("  optimizer: sgd\n", "sgd"), ("  optimizer: [sgd, lion]\n", "lion and sgd")],
)
def test_what_is_said_of_an_optimizer_that_is_not_there_is_told(optimizer: str, its: str) -> None:
    text = f"name: e\nspace:\n{optimizer}  learning_rate: {{type: auto, prior: {{momentum: 0.02}}}}\n"
    told = [one for one in load_text(text, Path("e.yaml")).search_advice if "learning_rate" in one]
    assert told == [
        "space.learning_rate.prior: what it says of momentum has no effect, because the space has no such "
        f"optimizer; it has {its}."
    ]


def test_an_automatic_rate_is_that_of_the_usual_optimizer_where_none_is_named() -> None:
    found = load_text("name: e\nspace: {learning_rate: {type: auto, prior: {adam: 0.003}}}", Path("e.yaml"))
    ((rate,),) = found.space.parameters.values()
    assert rate.sampled_as == "learning_rate"
    assert rate.values == FloatRange(3e-4, 1e-2, log=True)
    assert most_probable(found.space) == {"learning_rate": 0.003}
    assert restore(dump(found)).space == found.space
