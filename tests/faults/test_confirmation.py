"""kill -9 of a confirmation at random moments: it is gone on with, and the test set is opened once."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.support import LONG, events, harness, proven, running, state_of, tiny, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

KILLS = 12 if LONG else 2
PLAIN = ["--top", "2", "--seeds", "3"]


def has_confirmed() -> bool:
    """Whether the test set was opened, and what was found is known."""
    return any(event["kind"] == "test_opened" and event["evaluation"] for event in events("s.confirm"))


def test_a_confirmation_that_is_killed_again_and_again_opens_the_test_set_once() -> None:
    harness("sweep", tiny(), "--study", "s", "--trials", "4")
    moments = random.Random(1)
    for _ in range(KILLS):
        before = len(events("s.confirm"))
        with running("confirm", "s", *PLAIN) as confirming:
            # only what has written something can have been cut off
            until(lambda: len(events("s.confirm")) > before or confirming.process.poll() is not None)  # noqa: B023
            time.sleep(moments.uniform(0.0, 6.0))
            if confirming.process.poll() is None:
                confirming.kill_group()
    done = harness("confirm", "s", *PLAIN)
    assert "The test set was opened once." in done.stdout
    state = proven("s.confirm", trials=6)
    assert {trial.state for trial in state.trials.values()} == {"complete"}
    assert len(state.openings) == 1
    assert len({(trial.seed, str(trial.params)) for trial in state.trials.values()}) == 6
    assert not state_of("s").openings
    assert harness("confirm", "s").stdout == done.stdout
    proven("s.confirm", trials=6)


def test_killed_while_the_test_images_are_predicted_for_it_is_finished_and_counts_once() -> None:
    harness("sweep", tiny(), "--study", "s", "--trials", "3")
    with running("confirm", "s", *PLAIN) as confirming:
        until(
            lambda: any(event["kind"] == "test_opened" for event in events("s.confirm")),
            confirming,
            timeout=300,
        )
        confirming.kill_group()
    harness("confirm", "s")
    assert has_confirmed()
    assert len(proven("s.confirm", trials=6).openings) == 1
