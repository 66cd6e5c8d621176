"""What the time that is left changes, and what it does not."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.experiment.experiment import Objective
from harness.experiment.space_file import parse_space
from harness.schedulers.full import FullTraining
from harness.schedulers.halving import Asha
from harness.schedulers.hyperband import Hyperband
from harness.schedulers.protocol import Scheduler
from harness.schedulers.screening import Screen
from harness.sweeping.asynchronous import AsynchronousPolicy
from harness.sweeping.ordered import OrderedPolicy
from harness.sweeping.policy import Outcome, Policy, TimeLeft
from harness.sweeping.samplers.sampler import Sampler

EPOCHS = 9
ENDLESS = 10_000
SPACE = {"dropout": {"type": "float", "low": 0.0, "high": 0.5}}
SCHEDULERS: dict[str, Callable[[], Scheduler]] = {
    "asha": lambda: Asha(1, EPOCHS, 3),
    "hyperband": lambda: Hyperband(1, EPOCHS, 3),
    "screen": lambda: Screen(1, EPOCHS, 5),
    "none": lambda: FullTraining(EPOCHS),
}


def policy(scheduler: Scheduler) -> AsynchronousPolicy:
    sampler = Sampler(parse_space(SPACE), "random", 0, objectives=[Objective("val_accuracy", True)])
    return AsynchronousPolicy(sampler, scheduler, ENDLESS)


def sweep(asked: Policy, limit: float, *, workers: int = 1, told: bool = True) -> dict[int, int]:
    """Trials of one second an epoch, until the time is over: the epochs that each has reached by then."""
    reached: dict[int, int] = {}
    running: list[tuple[float, int, int]] = []
    now = 0.0
    while now < limit:
        while len(running) < workers:
            choice = asked.ask(TimeLeft(limit - now, limit) if told else None)
            if choice is None:
                break
            ends = now + choice.stop - reached.setdefault(choice.trial, 0)
            heapq.heappush(running, (ends, choice.trial, choice.stop))
        now, trial, stop = heapq.heappop(running)
        if now > limit:
            break
        reached[trial] = stop
        score = (7 * trial % 11) / 11
        over = stop == EPOCHS
        asked.tell(
            Outcome(
                trial=trial,
                stop=stop,
                values=(score,),
                scores={stop: score},
                state="complete" if over else None,
                final=[score] if over else None,
                seconds=1.0,
            )
        )
    return reached


@pytest.mark.parametrize("name", SCHEDULERS)
@settings(max_examples=25, deadline=None)
@given(limit=st.floats(1 + 1.05 * EPOCHS, 200), workers=st.integers(1, 4))
def test_a_sweep_that_has_time_for_one_training_leaves_a_whole_one(
    name: str, limit: float, workers: int
) -> None:
    assert EPOCHS in sweep(policy(SCHEDULERS[name]()), limit, workers=workers).values()


def test_without_a_limit_a_short_sweep_may_leave_none() -> None:
    """So the property above is not true anyhow."""
    for name in ("asha", "screen"):
        assert EPOCHS not in sweep(policy(SCHEDULERS[name]()), 15, told=False).values()


def test_the_best_that_wait_come_first_and_only_when_it_is_time() -> None:
    asked = policy(Screen(1, EPOCHS, 2))
    for trial, score in enumerate((0.3, 0.9, 0.5)):
        choice = asked.ask(TimeLeft(100, 100))
        assert choice is not None
        assert (choice.trial, choice.stop) == (trial, 1)
        asked.tell(
            Outcome(
                trial=trial, stop=1, values=(score,), scores={1: score}, seconds=2.0 if trial == 1 else 1.0
            )
        )
    early = asked.ask(TimeLeft(26, 100))  # the best needs 8 epochs of 2 s and a twentieth: 16.8 s
    assert early is not None
    assert early.suggestion is not None
    now = asked.ask(TimeLeft(26, 100, longest_epoch=1.0))
    assert now is not None
    assert (now.trial, now.stop, now.suggestion) == (1, EPOCHS, None)
    other = asked.ask(TimeLeft(9, 100))
    assert other is not None
    assert (other.trial, other.stop) == (2, EPOCHS)
    too_late = asked.ask(TimeLeft(5, 100))
    assert too_late is not None
    assert too_late.suggestion is not None


def test_in_order_what_time_is_left_does_not_matter() -> None:
    found = [
        sweep(OrderedPolicy(policy(Asha(1, EPOCHS, 3)), 2), 60, workers=2, told=told)
        for told in (True, False)
    ]
    assert found[0] == found[1]
    assert found[0] != sweep(policy(Asha(1, EPOCHS, 3)), 60, workers=2)
