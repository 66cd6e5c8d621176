"""The last part of a time limit: who is trained to its end early, when, how far, and that it is in time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engine.inline import InlineEngine
from harness.experiment.experiment import Objective
from harness.experiment.parameters import complete
from harness.experiment.space_file import parse_space
from harness.records import (
    Annealing,
    Checkpoint,
    CheckpointSaved,
    EpochEnded,
    Params,
    Segment,
    SegmentEnded,
    WorkerEvent,
)
from harness.schedulers.halving import Asha
from harness.schedulers.hyperband import Hyperband
from harness.schedulers.protocol import Scheduler
from harness.schedulers.screening import Screen
from harness.study.state import best
from harness.sweeping.admission import Admission
from harness.sweeping.asynchronous import AsynchronousPolicy
from harness.sweeping.coordinator import Coordinator
from harness.sweeping.costs_known import KnownCosts, NothingKnown
from harness.sweeping.last_cycles import least_epochs
from harness.sweeping.parts import make_policy, make_sampler
from harness.sweeping.policy import Choice, Outcome, TimeLeft
from harness.sweeping.samplers.sampler import Sampler
from tests.studies import experiment
from tests.sweeping.test_coordinator import coordinator, finish

EPOCHS = 27
LONGEST = 2.0
"""Seconds of an epoch of the widest."""
ENDLESS = 10_000
SPACE = {"dropout": {"type": "float", "low": 0.0, "high": 0.5}, "width": [4, 8, 16]}
SCHEDULERS: dict[str, Callable[[], Scheduler]] = {
    "asha": lambda: Asha(1, EPOCHS, 3),
    "hyperband": lambda: Hyperband(1, EPOCHS, 3),
    "screen": lambda: Screen(1, EPOCHS, 5),
}


def policy(
    scheduler: Scheduler,
    costs: KnownCosts | None = None,
    trials: int = ENDLESS,
    trial_seconds: float = math.inf,
    anneals: bool = True,
) -> AsynchronousPolicy:
    sampler = Sampler(parse_space(SPACE), "random", 0, objectives=[Objective("val_accuracy", True)])
    admission = Admission(costs or NothingKnown(), scheduler.rungs[0], least_epochs(scheduler.rungs))
    return AsynchronousPolicy(sampler, scheduler, trials, admission, anneals, trial_seconds)


def of_width(params: Params) -> float:
    """Seconds of an epoch."""
    return float(params["width"]) / 8


class OfWidth(NothingKnown):
    def seconds_to(self, params: Params, start: int, stop: int) -> float:
        return (stop - start) * of_width(params)


@dataclass
class Swept:
    """What came of a simulated sweep."""

    ends: dict[int, tuple[float, int]] = field(default_factory=dict)
    """Trials that are complete: when they were, and their epochs."""
    annealed: dict[int, Annealing] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    last: dict[int, tuple[float, float]] = field(default_factory=dict)
    """By worker, when its last segment ends and what an epoch of it takes."""
    seconds: dict[int, float] = field(default_factory=dict)
    """By trial, of an epoch."""


def sweep(
    asked: AsynchronousPolicy,
    limit: float,
    *,
    workers: int = 1,
    fails: Callable[[int], bool] = lambda _: False,
    epoch: Callable[[Params], float] = of_width,
) -> Swept:
    """Train until the time is over or nothing is left to do; a trial's epochs all take equally long."""
    found, longest, now = Swept(), 0.0, 0.0
    reached: dict[int, int] = {}
    idle = list(range(workers))
    running: list[tuple[float, int, Choice]] = []
    while True:
        while idle and now < limit:
            choice = asked.ask(TimeLeft(limit - now, limit, longest))
            if choice is None:
                break
            if choice.suggestion is not None:
                found.seconds[choice.trial] = epoch(complete(choice.suggestion.params))
            if choice.annealing is not None:
                assert choice.annealing == Annealing(start=reached[choice.trial], stop=choice.stop)
                assert choice.trial not in found.annealed, "once"
                found.annealed[choice.trial] = choice.annealing
            shortened = asked.shortened(
                choice.trial, reached.get(choice.trial, 0), choice.stop, TimeLeft(limit - now, limit, longest)
            )
            if shortened is not None:  # as the dispatcher does it
                choice = replace(choice, stop=shortened.stop, annealing=shortened)
                found.annealed[choice.trial] = shortened
            own = found.seconds[choice.trial]
            ends = now + own * (choice.stop - reached.setdefault(choice.trial, 0))
            worker = idle.pop()
            found.last[worker] = ends, own
            heapq.heappush(running, (ends, worker, choice))
        if not running:
            return found
        now, worker, choice = heapq.heappop(running)
        idle.append(worker)
        if now > limit:
            continue
        trial, stop, own = choice.trial, choice.stop, found.seconds[choice.trial]
        longest, reached[trial] = max(longest, own), stop
        score = 1 - math.exp(-(1 + 7 * trial % 11) * stop / 50)
        over = stop == EPOCHS or choice.annealing is not None
        if over and not fails(trial):
            found.ends[trial] = now, stop
        found.failed |= {trial} if over and fails(trial) else set()
        asked.tell(
            Outcome(
                trial=trial,
                stop=stop,
                values=(score,),
                scores={stop: score},
                state=("failed" if fails(trial) else "complete") if over else None,
                final=[score] if over and not fails(trial) else None,
                seconds=own,
            )
        )


@pytest.mark.parametrize("name", SCHEDULERS)
@settings(max_examples=25, deadline=None)
@given(limit=st.floats(20, 400), workers=st.integers(1, 4))
def test_every_worker_is_used_to_the_end_and_none_beyond_it(name: str, limit: float, workers: int) -> None:
    found = sweep(policy(SCHEDULERS[name](), OfWidth()), limit, workers=workers)
    assert found.ends, "something is complete"
    for ends, own in found.last.values():
        assert ends <= limit + own, "at most an epoch too long"
        # What is left free: a margin on the last segments, an epoch that did not fit, and compiling.
        assert ends >= 0.85 * limit - own - LONGEST, (ends, own)
    for trial, annealing in found.annealed.items():
        assert annealing.start < annealing.stop < EPOCHS
        assert trial not in found.ends or found.ends[trial] == (found.ends[trial][0], annealing.stop)


@settings(max_examples=25, deadline=None)
@given(limit=st.floats(30, 200), workers=st.integers(1, 3), modulus=st.integers(2, 5))
def test_failures_leave_their_places_to_others(limit: float, workers: int, modulus: int) -> None:
    found = sweep(
        policy(Asha(1, EPOCHS, 3)), limit, workers=workers, fails=lambda trial: trial % modulus == 0
    )
    assert not found.failed & found.ends.keys()


def tell(asked: AsynchronousPolicy, trial: int, stop: int, score: float, seconds: float = 1.0) -> None:
    asked.tell(Outcome(trial=trial, stop=stop, values=(score,), scores={stop: score}, seconds=seconds))


def begun(scores: dict[int, float], scheduler: Scheduler | None = None, **options: Any) -> AsynchronousPolicy:
    """A policy with trials that wait on the first rung."""
    asked = policy(scheduler or Screen(1, EPOCHS, 2), **options)
    for trial in scores:
        choice = asked.ask(TimeLeft(1000, 1000))
        assert choice is not None
        assert (choice.trial, choice.stop) == (trial, 1)
    for trial, score in scores.items():
        tell(asked, trial, 1, score)
    return asked


def test_the_best_come_first_and_are_trained_as_far_as_the_time_allows() -> None:
    asked = begun({0: 0.3, 1: 0.9, 2: 0.5, 3: math.nan})
    for trial, left, epochs in ((1, 22.0, 19), (2, 11.6, 10), (0, 1.2, 1)):
        choice = asked.ask(TimeLeft(left, 1000))
        assert choice == Choice(trial, 1 + epochs, annealing=Annealing(start=1, stop=1 + epochs))


def test_a_trial_that_can_come_to_its_end_is_not_shortened() -> None:
    asked = begun({0: 0.3, 1: 0.9})
    assert asked.ask(TimeLeft(1.1 * 1.05 * 26 + 0.01, 1000)) == Choice(1, EPOCHS)


def test_it_begins_when_the_best_needs_all_that_is_left() -> None:
    """A quarter of the limit, here 10 s, but no less than what the trial needs to its next rung."""
    for left, annealed in ((11.5, False), (11.0, True)):  # a second of it for another one's epoch
        choice = begun({0: 0.3, 1: 0.9}, Asha(1, EPOCHS, 5)).ask(TimeLeft(left, 40))
        assert choice is not None
        assert (choice.annealing is not None) == annealed
    asked = begun({0: 0.3, 1: 0.9}, Asha(1, EPOCHS, 20))
    choice = asked.ask(TimeLeft(1.1 * 1.05 * 19 + 0.01, 40))
    assert choice == Choice(1, 20, annealing=Annealing(start=1, stop=20))


def test_compiling_on_another_worker_is_allowed_for() -> None:
    choice = begun({0: 0.9}).ask(TimeLeft(22.0, 1000, longest_epoch=6.0))
    assert choice == Choice(0, 15, annealing=Annealing(start=1, stop=15))  # 5 s of the 22 are for compiling


def test_a_trial_is_taken_as_far_as_its_own_limit_allows() -> None:
    scores = {0: 0.3, 1: 0.9}
    early = begun(scores, trial_seconds=12.0).ask(TimeLeft(22.0, 1000))
    assert early is not None
    assert early.suggestion is not None, "there is time for others before"
    choice = begun(scores, trial_seconds=12.0).ask(TimeLeft(11.3, 1000))  # a second of the 12 is used up
    assert choice == Choice(1, 10, annealing=Annealing(start=1, stop=10))
    choice = begun(scores, trial_seconds=2.0).ask(TimeLeft(2.0, 1000))
    assert choice is not None
    assert choice.trial == 2, "no epoch of those that wait would end in their time"


@pytest.mark.parametrize(("limit", "ends"), [(28.0, False), (28.4, True)])
def test_without_annealing_none_is_sent_to_an_end_that_its_own_limit_does_not_allow(
    limit: float, ends: bool
) -> None:
    choice = begun({0: 0.3, 1: 0.9}, Asha(1, EPOCHS, 5), trial_seconds=limit, anneals=False).ask(
        TimeLeft(30.0, 1000)
    )
    assert choice is not None
    assert (choice.trial == 1) == ends


def test_what_waited_too_long_for_its_worker_is_shortened_when_it_begins() -> None:
    asked = begun({0: 0.9})
    assert asked.shortened(0, 1, 9, TimeLeft(9.3, 100)) is None
    assert asked.shortened(0, 1, 9, TimeLeft(9.2, 100)) == Annealing(start=1, stop=8)
    assert asked.shortened(0, 1, 9, TimeLeft(0.5, 100)) is None, "then it is of no use"


def test_a_new_trial_that_is_judged_late_is_shortened_too() -> None:
    asked = policy(Hyperband(1, EPOCHS, 3), OfWidth())
    choices = [asked.ask(TimeLeft(60, 60)) for _ in range(8)]
    late = next(choice for choice in choices if choice and choice.stop == EPOCHS)
    assert late.suggestion is not None
    epochs = int(20 / 1.1 / 1.05 / of_width(late.suggestion.params))
    found = asked.shortened(late.trial, 0, EPOCHS, TimeLeft(20, 60))
    assert found == (Annealing(start=0, stop=epochs) if epochs < EPOCHS else None)


class Dearer(NothingKnown):
    """Epochs after the ninth train the backbone, too."""

    def seconds_to(self, params: Params, start: int, stop: int) -> float:
        return sum(1.0 if epoch <= 9 else 10.0 for epoch in range(start + 1, stop + 1))


def test_unfreezing_is_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.sweeping.underway.unfreezes", lambda _: True)
    choice = begun({0: 0.9}, costs=Dearer()).ask(TimeLeft(1.1 * 1.05 * (8 + 20) + 0.1, 1000))
    assert choice == Choice(0, 11, annealing=Annealing(start=1, stop=11))


@pytest.mark.parametrize(
    ("sections", "anneals"),
    [
        ({"scheduler": {"kind": "asha", "anneal": "auto"}}, True),
        ({"scheduler": {"kind": "hyperband", "anneal": "auto"}}, True),
        ({}, False),
        ({"scheduler": {"kind": "none"}}, False),
        ({"scheduler": {"kind": "median"}}, False),
        ({"dataset": {"folds": 3}, "scheduler": {"kind": "asha", "anneal": "auto"}}, False),
    ],
)
def test_what_is_annealed(sections: dict[str, Any], anneals: bool) -> None:
    found = experiment(**sections)
    made = make_policy(found, make_sampler(found), 0, NothingKnown(), math.inf)
    assert isinstance(made, AsynchronousPolicy)
    assert made.anneals is anneals


def test_trials_alone_end_a_sweep_as_before() -> None:
    """When all trials have started and none has earned more, the rest of the time is not used up."""
    found = sweep(policy(Asha(1, EPOCHS, 3), trials=5), 10_000)
    assert not found.annealed
    assert [stop for _, stop in found.ends.values()] == [EPOCHS]


class CutOffError(Exception):
    """Everything is killed."""


def run_until_the_limit(
    folder: Path,
    limit: float | None,
    *,
    trials: int = ENDLESS,
    cut: Annealing | None = None,
    trial_seconds: float | None = None,
) -> Coordinator:
    """A sweep whose epochs each take a second of its clock; `cut` is killed after its first epoch."""
    holder: list[Coordinator] = []

    def train(
        segment: Segment, observe: Callable[[WorkerEvent], None], should_stop: Callable[[], bool]
    ) -> None:
        over = segment.annealing.stop if segment.annealing else segment.max_epochs
        epoch = segment.start
        while epoch < segment.stop and not should_stop():
            epoch += 1
            holder[0].clock.began -= 1.0
            accuracy = (1 - float(segment.params["dropout"])) * epoch / (epoch + 1)
            metrics = {"val_accuracy": accuracy, "epoch_seconds": 1.0}
            who = {"trial": segment.trial, "attempt": segment.attempt, "time": 0}
            observe(EpochEnded(epoch=epoch, metrics=metrics, **who))
            saved = Checkpoint(file=f"{segment.trial}-{epoch}", sha256="0" * 64, epoch=epoch)
            observe(CheckpointSaved(checkpoint=saved, **who))
            if segment.annealing and segment.annealing == cut:
                raise CutOffError
        observe(SegmentEnded(epoch=epoch, over=epoch == over, seconds=1.0, evaluations=[], **who))

    holder.append(
        coordinator(
            folder, trials=trials, epochs=EPOCHS, engine=InlineEngine(1, run=train), sampler="random",
            scheduler=Asha(1, EPOCHS, 3), anneals=True, timeout=limit, max_trial_seconds=trial_seconds,
        )
    )  # fmt: skip
    try:
        finish(holder[0])
    except CutOffError:
        assert cut is not None
    return holder[0]


def test_a_sweep_with_little_time_leaves_a_complete_trial_and_a_killed_one_goes_on_the_same(
    tmp_path: Path,
) -> None:
    whole = run_until_the_limit(tmp_path / "whole", 30)
    assert whole.limit is not None
    ended = [trial for trial in whole.state.trials.values() if trial.state == "complete"]
    assert best(whole.state) in ended
    for trial in ended:
        annealing = trial.annealing
        assert annealing is not None
        assert trial.reached == trial.last_epoch == annealing.stop < EPOCHS
        assert trial.reason.startswith(f"annealed from epoch {annealing.start} to {annealing.stop} of 27")
    assert whole.clock.seconds <= 31

    first = min(ended, key=lambda trial: trial.ended_ms or 0)
    cut = run_until_the_limit(tmp_path / "cut", 30, cut=first.annealing).state
    number = next(trial.number for trial in cut.trials.values() if trial.annealing)
    assert not cut.trials[number].has_ended
    again = run_until_the_limit(tmp_path / "cut", None, trials=len(cut.trials)).state.trials[number]
    assert (again.state, again.annealing) == ("complete", first.annealing)
    assert again.number == first.number
    assert {epoch: found["val_accuracy"] for epoch, found in again.epochs.items()} == {
        epoch: found["val_accuracy"] for epoch, found in first.epochs.items()
    }


def test_a_trials_own_limit_ends_no_training_in_mid_cycle(tmp_path: Path) -> None:
    swept = run_until_the_limit(tmp_path / "own", 60, trial_seconds=6.0).state
    ended = [trial for trial in swept.trials.values() if trial.annealing is not None]
    assert ended
    assert best(swept) in ended
    for trial in ended:
        assert trial.state == "complete", trial.reason
        assert trial.reached <= 6
