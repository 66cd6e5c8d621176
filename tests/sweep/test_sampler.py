"""Samplers: seeded, complete, never the same configuration twice, and open to what is known already."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from harness.errors import ExperimentError
from harness.experiment.space import configurations, parse_space
from harness.records import LogRecord, TrialEnded, TrialStarted
from harness.sweep import sampler as module
from harness.sweep.history import History, TrialHistory, fold
from harness.sweep.sampler import Sampler, Suggestion

SPACE = {
    "depth": {"type": "int", "low": 1, "high": 3},
    "optimizer": ["sgd", "adam"],
    "momentum": {"type": "float", "low": 0.1, "high": 0.3, "step": 0.1, "when": {"optimizer": "sgd"}},
}
CONTINUOUS = {"dropout": {"type": "float", "low": 0.0, "high": 0.5}, "optimizer": ["sgd", "adam"]}


def sampler(space: dict[str, Any] = SPACE, kind: str = "tpe", seed: int = 0, **options: Any) -> Sampler:
    return Sampler(parse_space(space), kind, seed, maximize=[True], **options)


def run(asked: Sampler, count: int) -> list[Suggestion]:
    """Ask and tell, with deeper networks scoring better."""
    found = []
    for number in range(count):
        suggestion = asked.ask(number)
        if suggestion is None:
            break
        found.append(suggestion)
        score = float(suggestion.params["depth"]) - float(suggestion.params["dropout"])
        asked.finish(number, "complete", 1, [score], score)
    return found


@pytest.mark.parametrize("kind", ["tpe", "random", "qmc", "nsga2"])
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


@pytest.mark.parametrize("kind", ["tpe", "random", "grid"])
def test_no_configuration_is_tried_twice_and_the_space_ends(kind: str) -> None:
    asked = sampler(kind=kind)
    found = run(asked, 50)
    keys = [tuple(sorted(suggestion.params.items())) for suggestion in found]
    assert len(keys) == len(set(keys)) == 12
    assert (asked.repeats > 0) == (kind != "grid")


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


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ExperimentError, match="gp needs the package torch"):
        sampler(kind="gp")


def test_restored_trials_give_the_same_next_suggestion() -> None:
    whole = sampler(CONTINUOUS)
    found = run(whole, 14)
    again = sampler(CONTINUOUS)
    for number, suggestion in enumerate(found):
        score = float(suggestion.params["depth"]) - float(suggestion.params["dropout"])
        past = TrialHistory(number, suggestion.params, suggestion.sampled, suggestion.seed, 0)
        past.state, past.score, past.values, past.reached = "complete", score, [score], 1
        assert again.restore(past)
    assert again.ask(14) == whole.ask(14)


def test_a_trial_that_does_not_fit_an_edited_space_is_left_out() -> None:
    edited = sampler(SPACE | {"depth": [2, 3], "optimizer": ["sgd", "adam"]})
    fits = TrialHistory(0, {"depth": 2}, {"depth": 2, "optimizer": "adam"}, 0, 0)
    outside = TrialHistory(1, {"depth": 1}, {"depth": 1, "optimizer": "adam"}, 0, 0)
    unknown = TrialHistory(2, {"width": 1}, {"width": 1}, 0, 0)
    assert edited.restore(fits)
    assert not edited.restore(outside)
    assert not edited.restore(unknown)
    outside.state, outside.score = "complete", 1.0
    edited.resume(1)
    edited.finish(1, "complete", 1, [1.0], 1.0)
    assert edited.ask(3) is not None


def history(values: list[list[float]], sampled: list[dict[str, Any]]) -> History:
    events: list[Any] = []
    for number, (scores, chosen) in enumerate(zip(values, sampled, strict=True)):
        events += [
            TrialStarted(trial=number, params=chosen, sampled=chosen, seed=0, time=0),
            TrialEnded(
                trial=number,
                state="complete",
                score=scores[0],
                values=scores,
                epoch=1,
                reason="",
                failure=None,
                traceback="",
                time=0,
            ),
        ]
    return fold(LogRecord(seq, event) for seq, event in enumerate(events, 1))


def test_another_studys_trials_teach_as_far_as_they_fit() -> None:
    asked = sampler(CONTINUOUS)
    good = [{"dropout": 0.05 + 0.001 * index, "optimizer": "adam"} for index in range(15)]
    bad = [{"dropout": 0.3 + 0.01 * index, "optimizer": "sgd"} for index in range(15)]
    strange = [{"dropout": 0.9, "optimizer": "adam"}, {"depth": 3}]
    scores = [[1.0]] * 15 + [[0.0]] * 15 + [[5.0]] * 2
    assert asked.learn(history(scores, [*good, *bad, *strange])) == 30
    found = [asked.ask(number) for number in range(6)]
    assert sum(s is not None and float(s.params["dropout"]) < 0.2 for s in found) >= 4


def test_several_objectives_are_told_together() -> None:
    asked = Sampler(parse_space(CONTINUOUS), "nsga2", 0, maximize=[True, False])
    for number in range(12):
        suggestion = asked.ask(number)
        assert suggestion is not None
        dropout = float(suggestion.params["dropout"])
        asked.pause(number, 1, dropout)
        asked.resume(number)
        asked.finish(number, "complete" if number % 3 else "failed", 1, [dropout, 1 - dropout], dropout)
    values = list(itertools.chain(trial.values for trial in asked._study.best_trials))
    assert all(len(pair) == 2 for pair in values)


def test_of_a_large_study_tpe_sees_the_best_and_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEST", 4)
    monkeypatch.setattr(module, "NEWEST", 6)
    asked = sampler(CONTINUOUS)
    scores = [0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.6, *[0.0] * 20]
    for number, score in enumerate(scores):
        assert asked.ask(number) is not None
        if number in (2, 4):  # paused at different rungs: whoever came further ranks higher
            asked.pause(number, epoch=number, score=score)
        else:
            asked.finish(number, "pruned" if number % 2 else "complete", 1, [score], score)
    seen = [trial.number for trial in asked._study.get_trials(deepcopy=False)]
    assert seen == [0, 6, 8, 10, *range(21, 27)]  # the complete ones come first, as in TPE
    asked.finish(4, "complete", 9, [0.95], 0.95)
    assert [trial.number for trial in asked._study.get_trials(deepcopy=False)][:4] == [0, 4, 6, 8]
