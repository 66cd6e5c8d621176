"""How a sweep is held against its limits, and how its workers are stopped."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from harness.experiment.experiment import Budget
from harness.records import EpochEnded, LogRecord, TrialStarted
from harness.study.state import fold
from harness.sweeping import ending as module
from harness.sweeping.ending import Ending
from harness.sweeping.plan import Stop
from harness.sweeping.stopwatch import ANSWER_SECONDS, Stopwatch
from harness.sweeping.workers import Workers
from tests.studies import study_started
from tests.sweeping.test_workers import ScriptedEngine, segment

RECORDS = [
    LogRecord(1, study_started()),
    LogRecord(2, TrialStarted(trial=5, params={}, sampled={}, seed=0, time=0)),
]


class Sweep:
    """Two workers of a scripted engine, and an ending whose clock the test turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, timeout: float | None, epochs: int | None) -> None:
        self.engine, self.notes = ScriptedEngine(), list[str]()
        monkeypatch.setattr(module, "time", self.engine)
        self.workers = Workers(self.engine, None)
        for number in range(2):
            self.workers.ready(number)
        self.workers.start(0, segment(5))
        self.clock = Stopwatch(time.monotonic())
        self.stop = Stop()
        self.ending = Ending(
            Budget(timeout=timeout, max_epochs_total=epochs), fold(RECORDS), self.workers, self.clock,
            self.stop, self.notes.append,
        )  # fmt: skip


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sweep]:
    return lambda timeout=None, epochs=None: Sweep(monkeypatch, timeout=timeout, epochs=epochs)


def test_workers_have_a_moment_to_stop_and_are_asked_once(sweep: Callable[..., Sweep]) -> None:
    found = sweep(timeout=60.0)
    assert found.ending.reason() is None
    found.clock.began -= 61
    assert found.ending.reason() == "the time limit of 60 s was reached"
    assert not found.ending.is_over()
    found.engine.clock += ANSWER_SECONDS - 0.1
    assert not found.ending.is_over()
    assert found.engine.asked_to_stop == [0]
    found.engine.clock += 0.1
    assert found.ending.is_over()
    assert found.notes == [], "whoever has set a limit knows of it"


def test_nothing_is_waited_for_when_nobody_works(sweep: Callable[..., Sweep]) -> None:
    found = sweep(timeout=60.0)
    (busy,) = found.workers.busy
    assert busy.training is not None
    found.workers.through_with(busy, busy.training)
    assert found.ending.is_over()
    assert found.engine.asked_to_stop == []


@pytest.mark.parametrize("by_limit", [True, False])
def test_an_interrupted_sweep_waits_for_models_and_one_at_its_limit_does_not(
    sweep: Callable[..., Sweep], by_limit: bool
) -> None:
    found = sweep(timeout=60.0)
    (busy,) = found.workers.busy
    assert busy.training is not None
    found.workers.trained(busy, busy.training)
    if by_limit:
        found.clock.began -= 61
    else:
        found.stop.reason = "interrupted"
    assert found.ending.reason() is not None
    found.ending.is_over()
    found.engine.clock += ANSWER_SECONDS
    assert found.ending.is_over() == by_limit
    assert len(found.notes) == (not by_limit)
    found.stop.immediately = True
    assert found.ending.is_over()


def test_what_was_trained_to_its_end_is_written_when_the_epochs_are_used_up(
    sweep: Callable[..., Sweep],
) -> None:
    """The worker may still evaluate, or wait for a slow disk; its last epoch was the last of the budget."""
    found = sweep(epochs=1, timeout=60.0)
    assert found.ending.reason() is None
    last = EpochEnded(trial=5, attempt=1, epoch=1, metrics={}, time=0)
    found.ending.state.apply(LogRecord(3, last))
    assert found.ending.reason() == "the budget of 1 epochs is used up"
    assert not found.ending.is_over()
    found.engine.clock += 10 * ANSWER_SECONDS
    assert not found.ending.is_over()
    found.clock.began -= 61
    assert found.ending.is_over()


def test_the_clock_runs_over_all_sessions_but_not_while_images_are_decoded() -> None:
    clock = Stopwatch(time.monotonic() - 50, earlier=100, outside=20)
    assert 30 <= clock.session < 35
    assert 130 <= clock.seconds < 135
    left = Budget(timeout=600)
    deadline = clock.closing_deadline(left.timeout)
    assert deadline is not None
    # 470 s are left of 600, and 12 s of tolerance, of which one is kept.
    assert 475 < deadline - time.monotonic() < 482
    assert clock.closing_deadline(None) is None
