"""Keys of earlier versions: still read, with a sentence of advice, and problems told as they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ExperimentError
from harness.experiment.experiment import Experiment
from harness.experiment.load import dump, load, restore
from harness.schedulers import SCHEDULERS

SPACE = """\
name: mine
space:
  depth: {type: int, low: 1, high: 3}
scheduler: {kind: none}
"""
ALSO = "mine.yaml: The key also is gone: list all in objectives, the one that ranks first."
LIMITS = "mine.yaml: The key limits is now called constraints; rename it."


def read(text: str, *overrides: str) -> Experiment:
    Path("mine.yaml").write_text(SPACE + text, encoding="utf-8")
    return load("mine.yaml", overrides)


def objectives(experiment: Experiment) -> list[tuple[str, bool]]:
    return [(one.name, one.maximize) for one in experiment.objectives]


@pytest.mark.parametrize(
    ("old", "new", "advice"),
    [
        ("objective: {metric: val_loss}", "objectives: [{metric: val_loss}]", ()),
        ("objective: {}", "", ()),
        (
            "also: [{metric: parameters}]",
            "objectives: [{metric: val_accuracy}, {metric: parameters}]",
            (ALSO,),
        ),
        (
            "objective: {metric: val_loss, direction: maximize}\nalso: [{metric: latency_ms}]",
            "objectives: [{metric: val_loss, direction: maximize}, {metric: latency_ms}]",
            (ALSO,),
        ),
        (
            "also: [{metric: latency_ms}, {metric: parameters}]",
            "objectives: [{metric: val_accuracy}, {metric: latency_ms}, {metric: parameters}]",
            (ALSO,),
        ),
        ("limits: {parameters: 500}", "constraints: {parameters: 500}", (LIMITS,)),
        ("limits: {latency_ms: 5}\nalso: [{metric: parameters}]",
         "constraints: {latency_ms: 5}\nobjectives: [{metric: val_accuracy}, {metric: parameters}]",
         (LIMITS, ALSO)),
        ("limits: {}\nalso: []", "", ()),
    ],
)  # fmt: skip
def test_an_old_file_is_the_experiment_that_a_new_one_would_be(
    old: str, new: str, advice: tuple[str, ...]
) -> None:
    found = read(old)
    assert sorted(found.advice) == sorted(advice)
    modern = read(new)
    assert modern.advice == ()
    assert found == modern
    assert dump(found) == dump(modern)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("objective:\n  metrik: val_loss\n", ["mine.yaml:6: objective.metrik: there is no such key"]),
        ("objective: {metric: val_los}\n", ["mine.yaml:5: objective.metric: 'val_los' is not allowed"]),
        ("objective: val_loss\n", ["mine.yaml:5: objective: 'val_loss' is not allowed"]),
        ("objective: {metric: parameters}\n", ["the first objective ranks trials"]),
        (
            "also:\n  - metric: parameters\n  - metric: latency\n",
            ["mine.yaml:5: also.1.metric: 'latency' is not allowed"],
        ),
        ("also: {metric: parameters}\n", ["mine.yaml:5: also: {'metric': 'parameters'} is not allowed"]),
        ("limits:\n  parameters: -1\n", ["mine.yaml:6: limits.parameters: -1 is not allowed"]),
        ("limits: 3\n", ["mine.yaml:5: limits: 3 is not allowed"]),
        (
            "constraints:\n  parameters: -1\nlimits:\n  latency_ms: -2\n",
            ["mine.yaml:6: constraints.parameters: -1", "mine.yaml:8: limits.latency_ms: -2"],
        ),
    ],
)
def test_problems_are_told_where_and_as_they_are_written(text: str, told: list[str]) -> None:
    with pytest.raises(ExperimentError) as refused:
        read(text)
    lines = str(refused.value).split("\n")
    assert len(lines) == len(told)
    for line, sentence in zip(sorted(lines), sorted(told), strict=True):
        assert sentence in line


def test_problems_of_overrides_are_told_as_they_were_typed() -> None:
    with pytest.raises(ExperimentError) as refused:
        read("objective: {metric: val_loss}\n", "objective.metric=val_los", "limits.parameters=0")
    lines = str(refused.value).split("\n")
    assert [line.split(": ")[0] for line in lines] == ["--set objective.metric", "--set limits.parameters"]


def test_old_overrides_reach_what_new_files_say() -> None:
    new = (
        "objectives: [{metric: val_accuracy}, {metric: parameters}]\n"
        "constraints: {parameters: 5, latency_ms: 9}\n"
    )
    found = read(new, "objective.metric=val_loss", "limits.parameters=7")
    assert objectives(found) == [("val_loss", False), ("parameters", False)]
    assert found.constraints == {"parameters": 7, "latency_ms": 9}
    assert objectives(read(new, "also=[{metric: latency_ms}]")) == [
        ("val_accuracy", True),
        ("latency_ms", False),
    ]
    assert objectives(read(new, "also=[]")) == [("val_accuracy", True)]


@pytest.mark.parametrize(
    "file",
    [
        "objective: {metric: val_f1_macro}\n",
        "objective: {metric: val_f1_macro}\nalso: [{metric: latency_ms}]\n",
        "objectives: [{metric: val_f1_macro}, {metric: latency_ms}]\n",
        "",
    ],
)
def test_what_is_typed_wins_over_what_the_file_says_in_whatever_words(file: str) -> None:
    limits = "limits: {parameters: 100, latency_ms: 9}\n"
    found = read(
        file + limits, "objectives=[{metric: val_accuracy}, {metric: parameters}]", "constraints.parameters=5"
    )
    assert objectives(found) == [("val_accuracy", True), ("parameters", False)]
    assert found.constraints == {"parameters": 5, "latency_ms": 9}
    assert read(limits, "constraints={parameters: 5}").constraints == {"parameters": 5}
    assert read(limits, "limits={parameters: 5}").constraints == {"parameters": 5}
    assert objectives(read(file, "objective={metric: val_loss}"))[0] == ("val_loss", False)
    assert objectives(read(file, "objectives.0.metric=val_loss"))[0][0] == "val_loss"
    with pytest.raises(ExperimentError, match=r"^--set objectives: it is empty"):
        read(file, "objectives=[]")


def test_of_what_is_typed_the_last_wins() -> None:
    listed = "objectives=[{metric: val_loss}, {metric: parameters}]"
    assert objectives(read("", listed, "objective={metric: val_accuracy}"))[0] == ("val_accuracy", True)
    assert objectives(read("", "objective.metric=val_accuracy", listed))[0] == ("val_loss", False)
    assert read("", "limits.parameters=5", "constraints.parameters=6").constraints == {"parameters": 6}
    assert read("", "constraints.parameters=6", "limits.parameters=5").constraints == {"parameters": 5}


def test_old_words_that_are_typed_bring_advice_as_they_do_in_a_file() -> None:
    found = read("limits: {parameters: 9}\n", "also=[{metric: parameters}]", "limits.latency_ms=3")
    assert found.advice == (
        LIMITS,
        ALSO.replace("mine.yaml", "--set also"),
        LIMITS.replace("mine.yaml", "--set limits.latency_ms"),
    )


def test_each_problem_is_told_where_its_value_comes_from() -> None:
    file = "limits:\n  parameters: 100\n  latency_ms: -1\nobjective:\n  metric: val_los\n"
    with pytest.raises(ExperimentError) as refused:
        read(file, "constraints.parameters=-5")
    assert [line.split(": ")[0] for line in str(refused.value).split("\n")] == [
        "mine.yaml:9",
        "--set constraints.parameters",
        "mine.yaml:7",
    ]
    with pytest.raises(ExperimentError) as refused:
        read(file, "limits={parameters: 0}", "objectives=[{metrik: val_loss}]")
    assert [line.split(": ")[0] for line in str(refused.value).split("\n")] == [
        "--set objectives.0.metrik",
        "--set limits.parameters",
    ]


@pytest.mark.parametrize(
    ("file", "override", "message"),
    [
        (
            "objective: val_loss\n",
            "objective.metric=val_loss",
            "objective is 'val_loss', which has no keys inside",
        ),
        ("limits: 3\n", "constraints.parameters=4", "limits is 3, which has no keys inside"),
        ("", "objectives.3.metric=val_loss", "has no entry 3 inside"),
        ("", "limits.foo=3", "^--set limits.foo: 'foo' is not allowed"),
        ("", "objectives=[3]", "^--set objectives.0: 3 is not allowed: it must be a mapping of keys"),
        ("objectives: [{metric: val_loss}]\n", "objectives.3.metric=val_loss", "has no entry 3 inside"),
        ("", "also=3", "^--set also: 3 is not allowed"),
        ("", "objective=val_loss", "^--set objective: 'val_loss' is not allowed"),
    ],
)
def test_a_key_path_that_leads_nowhere_is_told(file: str, override: str, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        read(file, override)


def test_a_broken_list_of_objectives_is_told_whatever_else_is_given() -> None:
    with pytest.raises(ExperimentError, match=r"mine\.yaml:5: objectives: 'val_loss' is not allowed"):
        read("objectives: val_loss\n", "objective.metric=val_accuracy")


def recorded(**sections: Any) -> dict[str, Any]:
    """An experiment as version 0.1.0 recorded it in a study's log."""
    return {
        "name": "mine", "description": "", "seed": 0,
        "space": {"depth": {"type": "int", "low": 1, "high": 3}},
        "objective": {"metric": "val_accuracy", "direction": "maximize"}, "also": [], "limits": {},
    } | sections  # fmt: skip


def test_what_old_studies_recorded_is_restored() -> None:
    found = restore(
        recorded(
            objective={"metric": "val_loss", "direction": "minimize"},
            also=[{"metric": "parameters", "direction": "minimize"}],
            limits={"latency_ms": 5.0},
            scheduler={"kind": "none"},
        )
    )
    assert objectives(found) == [("val_loss", False), ("parameters", False)]
    assert found.constraints == {"latency_ms": 5.0}
    assert restore(dump(found)) == found


def test_an_objective_that_was_recorded_twice_stays_as_trials_have_values_for_it() -> None:
    """Version 0.1.0 took an `also` that repeats the first metric."""
    also = [{"metric": "val_accuracy"}, {"metric": "parameters"}]
    found = restore(recorded(also=also, scheduler={"kind": "none"}))
    assert [name for name, _ in objectives(found)] == ["val_accuracy", "val_accuracy", "parameters"]
    assert restore(dump(found)) == found


def test_what_this_version_does_not_know_is_told_in_sentences() -> None:
    with pytest.raises(ExperimentError) as refused:
        restore(recorded(search={"sampler": "annealing"}, scheduler={"kind": "gone"}, space={"depth": 2}))
    first, second = sorted(str(refused.value).split("\n"))
    assert first.startswith("scheduler.kind: 'gone' is not allowed; it must be asha, ")
    assert second.startswith("search.sampler: 'annealing' is not allowed; it must be tpe, ")


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_settings_of_other_schedulers_that_were_recorded_with_it_are_left_out(kind: str) -> None:
    """Once, a study recorded the settings of all kinds, whichever it used."""
    every = {
        "min_epochs": 1, "reduction": 3, "keep": 5, "startup_trials": 5, "percentile": 25.0, "patience": 3,
        "lower": 0.1, "upper": None,
    }  # fmt: skip
    found = restore(recorded(scheduler={"kind": kind, **every})).scheduler
    own = set(SCHEDULERS[kind].settings.model_fields) - {"kind"}
    assert {name: getattr(found, name) for name in own & every.keys()} == {
        name: every[name] for name in own & every.keys()
    }
    assert found.kind == kind


@given(
    metrics=st.lists(
        st.sampled_from(["val_loss", "val_accuracy", "val_f1_macro", "parameters", "latency_ms"]),
        min_size=1, max_size=5, unique=True,
    ).filter(lambda names: names[0].startswith("val_")),
    limits=st.dictionaries(st.sampled_from(["parameters", "latency_ms"]), st.floats(0.1, 1e6)),
)  # fmt: skip
def test_whatever_was_searched_for_before_is_searched_for_now(
    metrics: list[str], limits: dict[str, float]
) -> None:
    first, *others = [{"metric": metric} for metric in metrics]
    found = restore(recorded(objective=first, also=others, limits=limits, scheduler={"kind": "none"}))
    assert [one.name for one in found.objectives] == metrics
    assert [one.maximize for one in found.objectives] == [
        metric in ("val_accuracy", "val_f1_macro") for metric in metrics
    ]
    assert found.constraints == limits
