"""A view that fails is tried again; the sweep never notices."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from harness.records import LogRecord, StudyEnded
from harness.tracking import follower as module
from harness.tracking.follower import Follower


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


def record(seq: int) -> LogRecord:
    return LogRecord(seq, StudyEnded(reason="", complete=True, time=0))


def test_records_arrive_once_and_in_order_in_spite_of_failures() -> None:
    view = Unreliable(failures=3)
    follower = Follower(lambda: view, "the view")
    for seq in range(1, 101):
        follower.feed(record(seq))
        if seq % 10 == 0:
            time.sleep(0.005)
    assert follower.close(lambda: (5, 5)).caught_up
    assert view.seen == list(range(1, 101))


def test_a_view_that_stays_away_is_reported_without_its_password() -> None:
    follower = Follower(lambda: Unreliable(failures=10**9), "Optuna's storage")
    follower.feed(record(1))
    began = time.monotonic()
    result = follower.close(lambda: (0.3, 0.3))
    assert time.monotonic() - began < 3
    assert not result.caught_up
    assert "Optuna's storage is 1 records behind" in result.message
    assert "is away" in result.message
    assert "secret" not in result.message


def test_feeding_does_not_wait_for_a_slow_view() -> None:
    class Slow:
        def apply(self, records: Sequence[LogRecord]) -> None:
            time.sleep(0.5)

    follower = Follower(Slow, "slow")
    began = time.monotonic()
    for seq in range(1000):
        follower.feed(record(seq))
    assert time.monotonic() - began < 0.3
    follower.close(lambda: (5, 5))


def test_after_a_failure_few_records_are_written_together() -> None:
    """So that a slow server that has come back is not given up in the middle of a large batch."""
    sizes: list[int] = []
    away = [True]

    class Slow:
        def apply(self, records: Sequence[LogRecord]) -> None:
            if away[0]:
                raise ConnectionError("away")
            sizes.append(len(records))

    follower = Follower(Slow, "the server")
    for seq in range(1000):
        follower.feed(record(seq))
    time.sleep(0.2)
    away[0] = False
    assert follower.close(lambda: (20.0, 60.0)).caught_up
    assert sizes[0] < 50
    assert sum(sizes) == 1000
