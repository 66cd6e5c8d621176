"""Samplers: seeded, complete, never the same configuration twice, and open to what is known already."""

from __future__ import annotations

import importlib.util
import itertools
import statistics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState as OptunaState

from harness.errors import ExperimentError
from harness.experiment.experiment import Objective
from harness.experiment.samplers import SAMPLERS
from harness.experiment.space import configurations
from harness.experiment.space_file import parse_space
from harness.records import (
    EpochEnded,
    LogRecord,
    SegmentEnded,
    TrialEnded,
    TrialStarted,
)
from harness.study.state import StudyState, fold
from harness.study.trial import Trial
from harness.sweeping.samplers import comparable
from harness.sweeping.samplers.reused import WORKERS_PER_TRIAL
from harness.sweeping.samplers.sampler import Sampler, Suggestion
from harness.sweeping.warm_start import earlier_trials
from tests.studies import study_started

SPACE = {
    "depth": {"type": "int", "low": 1, "high": 3},
    "optimizer": ["sgd", "adam"],
    "momentum": {"type": "float", "low": 0.1, "high": 0.3, "step": 0.1, "when": {"optimizer": "sgd"}},
}
CONTINUOUS = {"dropout": {"type": "float", "low": 0.0, "high": 0.5}, "optimizer": ["sgd", "adam"]}

INSTALLED = [
    name for name, kind in SAMPLERS.items() if not kind.package or importlib.util.find_spec(kind.package)
]
"""Every registered sampler whose package is here."""
OF_ANY_SPACE = [name for name in INSTALLED if not SAMPLERS[name].needs_list]

ACCURACY, PARAMETERS = Objective("val_accuracy", True), Objective("parameters", False)


def sampler(space: dict[str, Any] = SPACE, kind: str = "tpe", seed: int = 0, **options: Any) -> Sampler:
    return Sampler(parse_space(space), kind, seed, objectives=[ACCURACY], **options)


def run(asked: Sampler, count: int) -> list[Suggestion]:
    """Ask and tell, with deeper networks scoring better."""
    found = []
    for number in range(count):
        suggestion = asked.ask(number)
        if suggestion is None:
            break
        found.append(suggestion)
        score = float(suggestion.params["depth"]) - float(suggestion.params["dropout"])
        asked.finish(number, "complete", [score], {1: score})
    return found


@pytest.mark.parametrize("kind", OF_ANY_SPACE)
def test_the_seed_decides(kind: str) -> None:
    same = [[s.params for s in run(sampler(CONTINUOUS, kind), 15)] for _ in range(2)]
    other = [s.params for s in run(sampler(CONTINUOUS, kind, seed=1), 15)]
    assert same[0] == same[1]
    assert same[0] != other


def test_a_space_has_a_size_and_can_be_listed() -> None:
    space = parse_space(SPACE)
    every = [sampled for _, sampled in configurations(space)]
    assert space.size() == len(every) == 3 * (3 + 1)
    assert {tuple(sampled) for sampled in every} == {
        ("depth", "optimizer", "momentum"),
        ("depth", "optimizer"),
    }
    assert parse_space(CONTINUOUS).size() is None


@pytest.mark.parametrize("kind", INSTALLED)
def test_no_configuration_is_tried_twice_and_the_space_ends(kind: str) -> None:
    asked = sampler(kind=kind)
    found = run(asked, 50)
    keys = [tuple(sorted(suggestion.params.items())) for suggestion in found]
    assert len(keys) == len(set(keys)) == 12
    assert (asked.repeats == 0) == SAMPLERS[kind].needs_list


def test_a_grid_needs_a_space_that_ends() -> None:
    with pytest.raises(ExperimentError, match="continuous ranges"):
        sampler(CONTINUOUS, "grid")
    huge = {
        "width": {"type": "int", "low": 4, "high": 512},
        "batch_size": {"type": "int", "low": 1, "high": 8192},
    }
    assert parse_space(huge).size() == 509 * 8192
    with pytest.raises(ExperimentError, match="4,169,728 configurations"):
        sampler(huge, "grid")


def test_known_good_configurations_come_first() -> None:
    found = run(sampler(start_with=[{"depth": 3, "optimizer": "sgd", "momentum": 0.2}, {"depth": 2}]), 3)
    assert (found[0].params["depth"], found[0].params["optimizer"], found[0].params["momentum"]) == (
        3,
        "sgd",
        0.2,
    )
    assert found[1].params["depth"] == 2


@pytest.mark.parametrize("kind", OF_ANY_SPACE)
def test_a_sampler_that_learns_begins_with_the_defaults(kind: str) -> None:
    first = sampler(CONTINUOUS, kind).ask(0)
    assert first is not None
    assert (first.sampled == {"dropout": 0.1, "optimizer": "adam"}) == SAMPLERS[kind].learns
    sampled = sampler(CONTINUOUS, kind, start_with=[{}]).ask(0)
    assert sampled is not None
    assert sampled.sampled["dropout"] != 0.1


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ExperimentError, match="gp needs the package torch"):
        sampler(kind="gp")


def test_restored_trials_give_the_same_next_suggestion() -> None:
    whole = sampler(CONTINUOUS)
    found = run(whole, 14)
    again = sampler(CONTINUOUS)
    for number, suggestion in enumerate(found):
        score = float(suggestion.params["depth"]) - float(suggestion.params["dropout"])
        past = Trial(number, suggestion.params, suggestion.sampled, suggestion.seed, 0)
        past.state, past.score, past.values, past.reached = "complete", score, [score], 1
        assert again.restore(past, {1: score})
    assert again.ask(14) == whole.ask(14)


def test_a_trial_that_does_not_fit_an_edited_space_is_left_out() -> None:
    edited = sampler(SPACE | {"depth": [2, 3], "optimizer": ["sgd", "adam"]})
    fits = Trial(0, {"depth": 2}, {"depth": 2, "optimizer": "adam"}, 0, 0)
    outside = Trial(1, {"depth": 1}, {"depth": 1, "optimizer": "adam"}, 0, 0)
    unknown = Trial(2, {"width": 1}, {"width": 1}, 0, 0)
    assert edited.restore(fits, {})
    assert not edited.restore(outside, {})
    assert not edited.restore(unknown, {})
    outside.state, outside.score = "complete", 1.0
    edited.finish(1, "complete", [1.0], {1: 1.0})
    assert edited.ask(3) is not None


def state(values: list[list[float]], sampled: list[dict[str, Any]]) -> StudyState:
    """Complete trials of one epoch in another study."""
    events: list[Any] = [study_started(trials=len(values))]
    for number, (found, chosen) in enumerate(zip(values, sampled, strict=True)):
        metrics = {"val_accuracy": found[0]}
        events += [
            TrialStarted(trial=number, params=chosen, sampled=chosen, seed=0, time=0),
            EpochEnded(trial=number, attempt=1, epoch=1, metrics=metrics, time=0),
            SegmentEnded(trial=number, attempt=1, epoch=1, over=True, seconds=1, evaluations=[], time=0),
            TrialEnded(
                trial=number, state="complete", score=found[0], values=found, epoch=1, reason="",
                failure=None, traceback="", time=0,
            ),
        ]  # fmt: skip
    return fold(LogRecord(seq, event) for seq, event in enumerate(events, 1))


def test_another_studys_trials_teach_as_far_as_they_fit() -> None:
    asked = sampler(CONTINUOUS)
    good = [{"dropout": 0.05 + 0.001 * index, "optimizer": "adam"} for index in range(15)]
    bad = [{"dropout": 0.3 + 0.01 * index, "optimizer": "sgd"} for index in range(15)]
    strange = [{"dropout": 0.9, "optimizer": "adam"}, {"depth": 3}]
    found = [[1.0]] * 15 + [[0.0]] * 15 + [[5.0]] * 2
    other = state(found, [*good, *bad, *strange])
    assert asked.warm_start(earlier_trials(other, 1)) == 30
    chosen = [asked.ask(number) for number in range(6)]
    assert sum(s is not None and float(s.params["dropout"]) < 0.2 for s in chosen) >= 4


def test_several_objectives_are_told_together() -> None:
    asked = Sampler(parse_space(CONTINUOUS), "nsga2", 0, objectives=[ACCURACY, PARAMETERS])
    for number in range(12):
        suggestion = asked.ask(number)
        assert suggestion is not None
        dropout = float(suggestion.params["dropout"])
        asked.pause(number, {1: dropout})
        asked.finish(number, "complete" if number % 3 else "failed", [dropout, 1 - dropout], {1: dropout})
    values = list(itertools.chain(trial.values for trial in asked._study.best_trials))
    assert all(len(pair) == 2 for pair in values)


def seen(asked: Sampler) -> dict[int, tuple[OptunaState, float | None]]:
    """State and value of the trials that are shown, by number."""
    trials = asked._study.get_trials(deepcopy=False)
    return {trial.number: (trial.state, trial.value) for trial in trials}


def scores(*values: float) -> dict[int, float]:
    return dict(enumerate(values, 1))


def test_trials_are_compared_after_equally_many_epochs() -> None:
    asked = sampler(CONTINUOUS)  # of two parameters
    for number in range(40):
        assert asked.ask(number) is not None
    complete, pruned = OptunaState.COMPLETE, OptunaState.PRUNED
    asked.finish(0, "complete", [0.5], scores(0.1, 0.4, 0.5))
    asked.pause(1, scores(0.2))
    asked.pause(2, scores(0.3))
    # The one that was trained to the end does not outrank the others for it.
    assert [seen(asked)[number] for number in range(3)] == [(complete, 0.1), (complete, 0.2), (complete, 0.3)]
    assert seen(asked)[3][0] == OptunaState.RUNNING
    for number in range(3, 20):
        asked.pause(number, scores(0.01 * number))
    asked.pause(2, scores(0.3, 0.35))
    asked.finish(1, "complete", [0.2], scores(0.2))  # stopped early
    # Three have a result after two epochs, but four are needed where two of twenty are good ones.
    assert seen(asked)[2] == (complete, 0.3)
    asked.pause(3, scores(0.03, 0.1, 0.2))
    assert [seen(asked)[number] for number in range(5)] == [
        (complete, 0.4), (complete, 0.2), (complete, 0.35), (complete, 0.1), (pruned, 0.04),
    ]  # fmt: skip
    asked.finish(3, "failed", None, scores(0.03, 0.1, 0.2))
    assert seen(asked)[3] == (pruned, None)
    assert seen(asked)[2] == (complete, 0.3)


def test_one_trial_far_ahead_does_not_decide_what_is_compared() -> None:
    asked = sampler(CONTINUOUS)
    for number in range(20):
        assert asked.ask(number) is not None
        if number < 8:
            asked.finish(number, "complete", [0.6], scores(0.5, 0.6))  # stopped early
        else:
            asked.pause(number, scores(0.1, 0.2, 0.9))
    asked.pause(19, scores(*[0.1] * 9))
    assert seen(asked)[8] == (OptunaState.COMPLETE, 0.9)
    asked.finish(19, "failed", None, scores(*[0.1] * 9))
    assert seen(asked)[8] == (OptunaState.COMPLETE, 0.9)


@pytest.mark.parametrize("kind", ["nsga2", "random"])
def test_what_is_complete_stays_so_for_samplers_that_keep_notes(kind: str) -> None:
    asked = sampler(CONTINUOUS, kind)
    for number in range(4):
        assert asked.ask(number) is not None
    asked.finish(0, "complete", [0.5], scores(0.1, 0.4, 0.5))
    asked.pause(1, scores(0.2, 0.3))
    asked.pause(2, scores(0.3))
    asked.finish(2, "failed", None, scores(0.3))
    assert seen(asked) == {
        0: (OptunaState.COMPLETE, 0.5),
        1: (OptunaState.PRUNED, 0.3),
        2: (OptunaState.PRUNED, None),
        3: (OptunaState.RUNNING, None),
    }


def test_early_results_are_not_outweighed_by_trials_that_were_trained_to_the_end() -> None:
    asked = sampler(CONTINUOUS, start_with=[{"dropout": 0.4 + 0.03 * index} for index in range(3)])
    for number in range(30):
        suggestion = asked.ask(number)
        assert suggestion is not None
        dropout = float(suggestion.params["dropout"])
        if number < 3:  # the first ones earn their way early
            asked.finish(number, "complete", [0.6], scores(0.2, 0.5, 0.6))
        else:
            asked.pause(number, scores(0.4 - abs(dropout - 0.1)))
    chosen = [asked.ask(number) for number in range(30, 40)]
    assert sum(one is not None and float(one.params["dropout"]) < 0.25 for one in chosen) >= 8


paths = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0.1, 0.2, 0.3, float("nan")]), max_size=4),
        st.sampled_from(["running", "paused", "complete", "pruned", "failed"]),
    ),
    min_size=12,
    max_size=24,
)


@settings(max_examples=25, deadline=None)
@given(paths, st.randoms(use_true_random=False))
def test_a_restored_study_goes_on_as_if_it_had_never_stopped(
    paths: list[tuple[list[float], str]], order: Any
) -> None:
    """Whatever epochs its trials paused at."""
    whole, again = sampler(CONTINUOUS, seed=3), sampler(CONTINUOUS, seed=3)
    asked = [whole.ask(number) for number in range(len(paths))]
    pending = [(number, epoch) for number, (values, _) in enumerate(paths) for epoch in range(len(values))]
    order.shuffle(pending)
    known = [{epoch: value for epoch, value in enumerate(values, 1) if value == value} for values, _ in paths]
    for number, epoch in sorted(pending, key=lambda one: one[1]):
        found = {at: value for at, value in known[number].items() if at <= epoch + 1}
        if found:
            whole.pause(number, found)
    for number, (values, state) in enumerate(paths):
        if state in ("complete", "pruned", "failed"):
            final = [values[-1]] if state == "complete" and values and values[-1] == values[-1] else None
            whole.finish(number, state, final, known[number])  # type: ignore[arg-type]
    for number, (values, state) in enumerate(paths):
        suggestion = asked[number]
        assert suggestion is not None
        past = Trial(number, suggestion.params, suggestion.sampled, suggestion.seed, 0)
        past.state, past.reached = state, len(values)  # type: ignore[assignment]
        past.values = [values[-1]] if state == "complete" and values and values[-1] == values[-1] else None
        assert again.restore(past, known[number])
    assert seen(again) == seen(whole)
    assert again.ask(len(paths)) == whole.ask(len(paths))


def mean_width(cost_weight: float, *, told: bool = True) -> float:
    """Of what TPE asks for where the width makes training dearer and no better."""
    widths = {"type": "int", "low": 8, "high": 64}
    asked = sampler({"width": widths, "dropout": CONTINUOUS["dropout"]}, seed=5)
    found = []
    for number in range(40):
        suggestion = asked.ask(number, cost_weight)
        assert suggestion is not None
        found.append(float(suggestion.params["width"]))
        if told:
            asked.tell_seconds(number, found[-1] ** 2)
        score = 1 - float(suggestion.params["dropout"])
        asked.finish(number, "complete", [score], {1: score})
    return sum(found[10:]) / len(found[10:])


def test_where_time_counts_tpe_prefers_what_costs_less() -> None:
    """Also a proof that the method of Optuna's that is overridden is still the one it calls."""
    assert mean_width(1.0) < 0.7 * mean_width(0.0)
    assert mean_width(0.0) == mean_width(1.0, told=False)


def suggested(workers: int, count: int) -> list[Suggestion]:
    asked = sampler(CONTINUOUS | {"depth": {"type": "int", "low": 1, "high": 3}})
    asked.fits.workers = lambda: workers
    return run(asked, count)


def test_one_fit_serves_several_trials_only_where_very_many_workers_train() -> None:
    alone = suggested(1, 40)
    assert suggested(2 * WORKERS_PER_TRIAL - 1, 40) == alone
    many = suggested(10 * WORKERS_PER_TRIAL, 40)
    assert many[:11] == alone[:11], "before anything is fitted"
    assert many != alone
    assert many == suggested(10 * WORKERS_PER_TRIAL, 40), "the seed decides here, too"
    assert len({str(one.params) for one in many}) == 40
    spaces = parse_space(CONTINUOUS | {"depth": {"type": "int", "low": 1, "high": 3}})
    for one in many:
        assert set(one.sampled) == set(spaces.parameters)
        assert 0.0 <= float(one.params["dropout"]) <= 0.5
    later = [float(one.params["depth"]) - float(one.params["dropout"]) for one in many[20:]]
    assert statistics.mean(later) > 2.3, "deeper networks score better, and it has learned so"


def test_of_a_large_study_tpe_sees_the_best_and_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparable, "BEST", 4)
    monkeypatch.setattr(comparable, "NEWEST", 6)
    asked = sampler(CONTINUOUS)
    best = [0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.6, *[0.0] * 20]
    for number, score in enumerate(best):
        assert asked.ask(number) is not None
        if number in (2, 4, 6):
            asked.pause(number, scores(score))
        else:
            asked.finish(number, "pruned" if number % 2 else "complete", [score], scores(score))
    assert list(seen(asked)) == [0, 2, 4, 6, *range(21, 27)]
    asked.finish(4, "complete", [0.95], scores(0.7, 0.95))
    asked.finish(6, "failed", None, {})
    assert list(seen(asked))[:4] == [0, 2, 4, 5]
