"""A clock that jumps, crowds of reports, floods of events, and hundreds of trials."""

from __future__ import annotations

import json
import random
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.engine.inline import InlineEngine
from harness.engine.protocol import EngineEvent, Reported
from harness.paths import StudyPaths, optuna_storage, tracking_uri
from harness.records import (
    EpochEnded,
    LogRecord,
    Segment,
    SegmentEnded,
    TrialEnded,
    TrialStarted,
)
from harness.schedulers.full import FullTraining
from harness.study.event_log import EventLog, read
from harness.study.state import fold
from harness.tracking.background import BackgroundTracker
from harness.tracking.mlflow_reader import tracked_runs
from harness.tracking.mlflow_tracker import MlflowTracker
from harness.tracking.optuna_storage import stored_states
from harness.tracking.optuna_tracker import OptunaTracker
from tests.faults.support import LONG, events, harness, proven, running, tiny, until
from tests.studies import experiment, study_started
from tests.sweeping.test_coordinator import coordinator, ends, finish, simulate

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

HOUR = 3600
JUMPING = """
import time
real, real_ns, jumps = time.time, time.time_ns, [0]
import harness.study.event_log as module
append = module.EventLog.append
def jumping(self, event, **how):
    record = append(self, event, **how)
    jumps[0] = ({steps})[record.seq // 8 % 3]
    return record
module.EventLog.append = jumping
time.time = lambda: real() + jumps[0]
time.time_ns = lambda: real_ns() + jumps[0] * 10**9
"""


@pytest.mark.parametrize("hour", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_clock_that_moves_by_an_hour_between_events_changes_nothing(hour: int) -> None:
    """The coordinator's clock jumps after every eighth event: there, back, and there again."""
    script = JUMPING.format(steps=(0, hour, hour // 2))
    command = ["sweep", tiny(), "--study", "s", "--trials", "8"]
    # Limits of 15 minutes would all be over if the wall clock counted.
    limits = ["--timeout", "900", "--set", "search.hang_seconds=900", "--set", "search.max_trial_seconds=900"]
    with running(*command, *limits, script=script) as sweep:
        assert sweep.wait() == 0, sweep.stderr
    state = proven("s", 8)
    assert {(trial.state, trial.attempts) for trial in state.trials.values()} == {("complete", 1)}
    times = [event["time"] / 1000 for event in events("s")]
    assert max(times) - min(times) > HOUR / 2, "the clock did not jump"
    found = json.loads(harness("status", "s", "--json").stdout)
    assert found["elapsed"] >= 0
    assert found["idle"] >= 0
    for command in (["leaderboard", "s"], ["report", "s", "--out", "r.html"], ["sync", "s"]):
        harness(*command)
    proven("s", 8)


class Crowd(InlineEngine):
    """Every report of every worker at once: some twice, some of attempts that are over, in any order."""

    def __init__(self, workers: int, seed: int) -> None:
        super().__init__(workers, run=simulate)
        self._random = random.Random(seed)
        self._past: list[Reported] = []
        self.repeated = 0

    def poll(self, timeout: float) -> list[EngineEvent]:
        found: list[EngineEvent] = []
        by_worker: list[list[EngineEvent]] = []
        while events := super().poll(timeout):
            by_worker.append(events)
        self._random.shuffle(by_worker)
        for events in by_worker:
            for event in events:
                found.append(event)
                if isinstance(event, Reported) and isinstance(event.event, SegmentEnded):
                    self._past.append(event)
                    if self._random.random() < 0.5:
                        found += [event, self._random.choice(self._past)]
                        self.repeated += 1
        return found


@pytest.mark.parametrize("seed", range(20 if LONG else 5))
def test_of_200_tells_at_once_half_of_them_repeated_each_trial_ends_once(tmp_path: Path, seed: int) -> None:
    engine = Crowd(200, seed)
    coordinating = coordinator(tmp_path, trials=200, scheduler=FullTraining(2), epochs=2, engine=engine)
    assert finish(coordinating).complete
    records = read(tmp_path / "events.jsonl")
    assert engine.repeated > 60
    assert sorted(end.trial for end in ends(records)) == list(range(200))
    told = [record.event for record in records if isinstance(record.event, SegmentEnded)]
    assert len(told) == 200
    assert {trial.attempts for trial in coordinating.state.trials.values()} == {1}


FLOOD_TRIALS, FLOOD_EPOCHS = 20, 500


def flood() -> list[Any]:
    """A little more than 10,000 events: trials of 500 epochs, all mixed."""
    searched = experiment(
        name="flood",
        space={"dropout": {"type": "float", "low": 0.0, "high": 0.5}},
        search={"trials": FLOOD_TRIALS},
    )
    found: list[Any] = [study_started(searched, study="flood", study_id="f" * 32, time=1)]
    for trial in range(FLOOD_TRIALS):
        params: dict[str, Any] = {"dropout": trial / 1000}
        found.append(TrialStarted(trial=trial, params=params, sampled=params, seed=trial, time=2))
    for epoch in range(1, FLOOD_EPOCHS + 1):
        for trial in range(FLOOD_TRIALS):
            metrics = {"val_accuracy": (trial + epoch) / 1000}
            found.append(EpochEnded(trial=trial, attempt=1, epoch=epoch, metrics=metrics, time=2 + epoch))
    for trial in range(FLOOD_TRIALS):
        score = (trial + FLOOD_EPOCHS) / 1000
        found += [
            SegmentEnded(
                trial=trial, attempt=1, epoch=FLOOD_EPOCHS, over=True, seconds=1, evaluations=[], time=200
            ),
            TrialEnded(
                trial=trial, state="pruned", score=score, values=[score], epoch=FLOOD_EPOCHS, reason="flood",
                failure=None, traceback="", time=201,
            ),
        ]  # fmt: skip
    return found


def test_10_000_events_in_a_second_are_in_the_log_in_order_and_the_trackers_catch_up() -> None:
    paths = StudyPaths.of("flood")
    paths.folder.mkdir(parents=True)
    trackers = [
        BackgroundTracker(lambda: OptunaTracker(optuna_storage()), "Optuna's storage"),
        BackgroundTracker(lambda: MlflowTracker(tracking_uri(), "flood", paths), "MLflow"),
    ]
    wanted = flood()
    log = EventLog(paths.log)
    began, began_own = time.monotonic(), time.thread_time()
    for event in wanted:
        record = log.append(event)
        for tracker in trackers:
            tracker.feed(record)
    seconds, own = time.monotonic() - began, time.thread_time() - began_own
    log.close()
    print(f"{len(wanted):,} events were appended and handed on in {seconds:.2f} s, {own:.2f} s of its own")
    assert len(wanted) >= 10_000
    assert len(wanted) / own > 10_000  # of the coordinator's own time, whatever else the machine does
    assert [record.event for record in read(paths.log)] == wanted
    for tracker in trackers:
        assert tracker.close(lambda: (20, 300)).caught_up
    print(f"the trackers had caught up after {time.monotonic() - began:.1f} s")
    runs = {
        run.trial: run for run in tracked_runs(tracking_uri(), "flood", "f" * 32) if run.trial is not None
    }
    assert len(runs) == FLOOD_TRIALS
    for trial, run in runs.items():
        steps = [step for name, step, _ in run.points if name == "val_accuracy"]
        assert sorted(steps) == list(range(1, FLOOD_EPOCHS + 1)), trial
    assert stored_states(optuna_storage(), "f" * 32) == dict.fromkeys(range(FLOOD_TRIALS), "pruned")


def steady(samples: list[tuple[int, int, int]]) -> None:
    """From the first third on: at most 0.1 MB more for each trial, and not one open file more."""
    trials = max(trial for trial, _, _ in samples)
    first = [one for one in samples if trials / 4 <= one[0] <= trials / 2]
    last = [one for one in samples if one[0] >= trials * 3 / 4]
    between = statistics.mean(one[0] for one in last) - statistics.mean(one[0] for one in first)
    grown = (statistics.median(one[1] for one in last) - statistics.median(one[1] for one in first)) / 1e6
    files = statistics.median(one[2] for one in first), statistics.median(one[2] for one in last)
    print(f"{trials} trials: {grown / between:.4f} MB a trial, open files {files[0]:g} and then {files[1]:g}")
    assert grown / between < 0.1
    assert files[1] <= files[0]


def in_process(samples: list[tuple[int, int, int]]) -> None:
    """200 trials that train nothing, with the real log and the real trackers."""
    paths = StudyPaths.of("s")
    paths.folder.mkdir(parents=True)
    me = psutil.Process()
    trackers = [
        BackgroundTracker(lambda: OptunaTracker(optuna_storage()), "Optuna's storage"),
        BackgroundTracker(lambda: MlflowTracker(tracking_uri(), "s", paths), "MLflow"),
    ]

    def slowly(segment: Segment, observe: Any, should_stop: Any) -> None:
        simulate(segment, observe, should_stop)
        time.sleep(0.1)  # so that the trackers are measured at work, not in wait

    def measure(record: LogRecord) -> None:
        if isinstance(record.event, TrialEnded):
            samples.append((record.event.trial, me.memory_info().rss, me.num_fds()))

    sweep = coordinator(
        paths.folder, trials=200, scheduler=FullTraining(3), epochs=3, engine=InlineEngine(2, run=slowly),
        on_record=[*(tracker.feed for tracker in trackers), measure],
    )  # fmt: skip
    (opening,) = read(paths.log)
    for tracker in trackers:
        tracker.feed(opening)
    assert finish(sweep).complete
    for tracker in trackers:
        assert tracker.close(lambda: (20, 120)).caught_up
    assert len(fold(read(paths.log)).trials) == 200


def test_over_200_tiny_trials_memory_and_open_files_stay_where_they_are() -> None:
    samples: list[tuple[int, int, int]] = []
    if not LONG:
        in_process(samples)
        steady(samples)
        return
    settings = [
        "--epochs",
        "1",
        "--set",
        "dataset={source: digits, limit_train: 100}",
        "--set",
        "space.depth=1",
    ]
    with running("sweep", tiny(), "--study", "s", "--trials", "200", *settings) as sweep:
        me = psutil.Process(sweep.process.pid)
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.5):
                ended = sum(event["kind"] == "trial_ended" for event in events("s"))
                if ended:
                    samples.append((ended, me.memory_info().rss, me.num_fds()))

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        until(lambda: sum(event["kind"] == "trial_ended" for event in events("s")) >= 198, sweep, timeout=600)
        done.set()
        watching.join()
        assert sweep.wait() == 0, sweep.stderr
    steady(samples)
    proven("s", 200)
