"""Trials that were moved, killed and resumed with other threads come out again to the last bit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.paths import StudyPaths
from harness.reproducing.record import trial_record
from harness.study.event_log import read
from tests.faults.support import LONG, events, harness, proven, running, seen, tiny, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]


def identical(study: str, trial: int) -> None:
    found = json.loads(harness("reproduce", str(trial), "--study", study, "--json").stdout)
    assert found["verdict"] == "identical", found
    assert found["epochs"]["identical"] == found["epochs"]["recorded"] > 0


def going_on() -> dict[str, Any] | None:
    """A segment that goes on with a trial and is under way, which the other worker will train again."""
    under_way: dict[int, dict[str, Any]] = {}
    for event in events("s"):
        if event["kind"] == "segment_started" and event["start"] > 0:
            under_way[event["trial"]] = event
        elif event["kind"] in ("epoch_ended", "segment_ended"):
            under_way.pop(event["trial"], None)
    return next(iter(under_way.values()), None)


def test_every_trial_of_a_sweep_whose_workers_were_killed() -> None:
    """Two workers and rungs: trials go from one worker to the other, and one worker is killed."""
    rungs = [
        "--set",
        "scheduler.kind=asha",
        "--set",
        "scheduler.min_epochs=1",
        "--set",
        "scheduler.reduction=2",
    ]
    with running("sweep", tiny(), "--study", "s", "--trials", "6", *rungs) as sweep:
        began = until(going_on, sweep)
        sweep.workers()[began["worker"]].kill()
        assert sweep.wait() == 0
    workers: dict[int, set[int]] = {}
    for event in events("s"):
        if event["kind"] == "segment_started":
            workers.setdefault(event["trial"], set()).add(event["worker"])
    assert any(len(found) > 1 for found in workers.values()), "no trial was moved"
    for trial in proven("s", 6).trials:
        identical("s", trial)


@pytest.mark.skipif(not LONG, reason="`make test-faults-long` does")
def test_a_trial_that_went_on_with_other_threads() -> None:
    """Killed while one worker had all cores, resumed with two: each epoch has the threads that it had."""
    with running(
        "sweep", tiny(), "--study", "s", "--trials", "2", "--workers", "1", "--epochs", "12"
    ) as sweep:
        until(seen("s", "checkpoint_saved", trial=0), sweep)
        sweep.kill_group()
    harness("resume", "s", "--workers", "2")
    stretches = trial_record(read(StudyPaths.of("s").log), 0).stretches
    assert len(stretches) == 2, "this needs two cores"
    identical("s", 0)
