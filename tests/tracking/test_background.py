"""A tracker that fails is tried again; the sweep never notices."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from harness.paths import StudyPaths, tracking_uri
from harness.records import LogRecord, StudyEnded, StudyStarted, TrialStarted
from harness.study.event_log import EventLog, read
from harness.tracking import background as module
from harness.tracking.background import BackgroundTracker
from harness.tracking.cursor import read_cursor
from harness.tracking.mlflow_tracker import MlflowTracker
from harness.tracking.running import close_trackers
from tests.conftest import keep_tables
from tests.tracking.test_mlflow_tracker import events


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_SECONDS", 0.01)
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.05)


class Unreliable:
    """Fails so many times, then works."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.seen: list[int] = []

    def apply(self, records: Sequence[LogRecord]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("postgresql://ann:secret@db/x is away")
        self.seen += [record.seq for record in records]


def until(what: Callable[[], bool]) -> None:
    """Wait for what a tracker's thread does."""
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def record(seq: int) -> LogRecord:
    return LogRecord(seq, StudyEnded(reason="", complete=True, time=0))


def test_records_arrive_once_and_in_order_in_spite_of_failures() -> None:
    tracker = Unreliable(failures=3)
    background = BackgroundTracker(lambda: tracker, "the store")
    for seq in range(1, 101):
        background.feed(record(seq))
        if seq % 10 == 0:
            time.sleep(0.005)
    assert background.close(lambda: (5, 5)).caught_up
    assert tracker.seen == list(range(1, 101))


def test_a_tracker_that_stays_away_is_reported_without_its_password() -> None:
    background = BackgroundTracker(lambda: Unreliable(failures=10**9), "Optuna's storage")
    background.feed(record(1))
    result = background.close(lambda: (0.3, 0.3))
    assert not result.caught_up
    assert "Optuna's storage is 1 records behind" in result.message
    assert "is away" in result.message
    assert "secret" not in result.message


def test_trackers_share_what_is_left_until_a_deadline() -> None:
    answers = threading.Event()

    class Slow:
        def apply(self, records: Sequence[LogRecord]) -> None:
            answers.wait()

    trackers = [BackgroundTracker(Slow, name) for name in ("MLflow", "Optuna")]
    for tracker in trackers:
        tracker.feed(record(1))
    behind = close_trackers(trackers, lambda: False, time.monotonic() + 0.2)
    answers.set()
    assert [sentence.partition(" is ")[0] for sentence in behind] == ["MLflow", "Optuna"]


def test_feeding_does_not_wait_for_a_slow_tracker() -> None:
    answers = threading.Event()

    class Slow:
        def apply(self, records: Sequence[LogRecord]) -> None:
            answers.wait()

    background = BackgroundTracker(Slow, "slow")
    for seq in range(1, 1001):
        background.feed(record(seq))
    answers.set()
    assert background.close(lambda: (5, 5)).caught_up


def test_after_a_failure_few_records_are_written_together() -> None:
    """So that a slow server that has come back is not given up in the middle of a large batch."""
    sizes: list[int] = []
    away = [True]
    failed: list[int] = []

    class Slow:
        def apply(self, records: Sequence[LogRecord]) -> None:
            if away[0]:
                failed.append(len(records))
                raise ConnectionError("away")
            sizes.append(len(records))

    background = BackgroundTracker(Slow, "the server")
    for seq in range(1000):
        background.feed(record(seq))
    until(lambda: len(failed) > 1)
    away[0] = False
    assert background.close(lambda: (20.0, 60.0)).caught_up
    assert sizes[0] < 50
    assert sum(sizes) == 1000


def test_a_tracker_begins_anew_after_an_error_with_what_it_had_before() -> None:
    """A later batch says nothing of how the study began."""
    log = [record(seq) for seq in range(1, 21)]

    class Forgetful:
        def __init__(self) -> None:
            self.seen: list[int] = []
            self.fail = False

        def apply(self, records: Sequence[LogRecord]) -> None:
            if self.fail:
                self.fail, self.seen = False, []
                raise ConnectionError("away")
            if records and records[0].seq != len(self.seen) + 1:
                raise ValueError("records are missing")
            self.seen += [one.seq for one in records]

    for replay in (None, lambda: log):
        tracker = Forgetful()
        background = BackgroundTracker(lambda tracker=tracker: tracker, "the store", replay=replay)  # type: ignore[misc]
        for one in log:
            background.feed(one)
            time.sleep(0.03)
            tracker.fail = one.seq % 6 == 0
        assert background.close(lambda: (5, 5)).caught_up
        assert tracker.seen == list(range(1, 21))


def test_only_what_no_power_cut_can_take_away_is_told() -> None:
    tracker, durable = Unreliable(failures=0), [0]
    background = BackgroundTracker(lambda: tracker, "the store", durable=lambda: durable[0])
    for seq in range(1, 7):
        background.feed(record(seq))
    time.sleep(0.1)
    assert not tracker.seen
    durable[0] = 4
    background.feed(record(7))
    until(lambda: len(tracker.seen) >= 4)
    time.sleep(0.1)
    assert tracker.seen == [1, 2, 3, 4]
    assert background.close(lambda: (5, 5)).caught_up  # the rest will be done again, so nothing is missing
    assert tracker.seen == [1, 2, 3, 4]


def test_a_power_cut_loses_records_that_no_view_has_heard_of(
    monkeypatch: pytest.MonkeyPatch, mlflow_tables: Path
) -> None:
    """MLflow's database is synced at every commit, the log is not at every epoch: the log must be ahead."""
    keep_tables(mlflow_tables)
    synced = [0]
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        if os.path.samestat(os.fstat(descriptor), paths.log.stat()):
            synced[0] = os.fstat(descriptor).st_size

    paths = StudyPaths(Path.cwd() / "study")
    paths.folder.mkdir()
    (paths.folder / "model.keras").write_bytes(b"weights")
    story = events(paths.folder / "model.keras")
    monkeypatch.setattr(os, "fsync", fsync)

    def session(log: EventLog, told: Sequence[Any], durable: Sequence[type], last: int) -> None:
        background = BackgroundTracker(
            lambda: MlflowTracker(tracking_uri(), "pets", paths),
            "MLflow",
            durable=lambda: log.durable,
            replay=lambda: read(paths.log),
        )
        for one in log.records:
            background.feed(one)
        for event in told:
            background.feed(log.append(event, durable=isinstance(event, tuple(durable))))
        until(lambda: read_cursor(paths.tracking_cursor).seq >= last)
        time.sleep(0.3)
        assert read_cursor(paths.tracking_cursor).seq == last
        background.close(lambda: (5, 5))

    # Study and trials have begun, durably; then come two epochs that are not synced.
    log = EventLog(paths.log)
    session(log, story[:7], (StudyStarted, TrialStarted), last=4)
    assert len(read(paths.log)) == 7
    content = paths.log.read_bytes()[: synced[0]]
    log.close()
    paths.log.write_bytes(content)  # the power was cut before
    assert len(read(paths.log)) == 4

    # The epochs are trained again: the same values at another time, under the numbers of the lost records.
    again = [replace(event, time=event.time + 100_000) for event in story[4:]]
    log = EventLog(paths.log)
    session(log, again, (StudyEnded,), last=len(story))
    log.close()
    experiment = MlflowClient(tracking_uri()).get_experiment_by_name("pets")
    assert experiment is not None
    runs = MlflowClient(tracking_uri()).search_runs([experiment.experiment_id])
    (own,) = [run.info.run_id for run in runs if run.data.tags.get("harness.trial") == "0"]
    history = MlflowClient(tracking_uri()).get_metric_history(own, "val_accuracy")
    assert [(one.step, one.value, one.timestamp) for one in history] == [(1, 0.7, 101_003), (2, 0.8, 101_004)]
