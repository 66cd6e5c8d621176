"""One suite of failures for every tracker: whatever happens to its store, it catches up and ends as if
nothing had.

Another tracker takes part by its entry in `TRACKERS` and one in `SUBJECTS`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.paths import StudyPaths
from harness.records import LogRecord
from harness.tracking import follower as follower_module
from harness.tracking import optuna_view
from harness.tracking.follower import Follower
from harness.tracking.trackers import TRACKERS, TrackedStudy, Tracker, TrackerKind
from tests.conftest import keep_tables
from tests.tracking.subjects import EXPERIMENT, SUBJECTS, Calls, Deletion, watched
from tests.tracking.test_mlflow_view import events

pytestmark = pytest.mark.slow

LONG = os.environ.get("HARNESS_FAULTS") == "long"
HALF = 11
"""Records after which trial 0 has ended, and the other two have begun."""
KINDS = {kind.name: kind for kind in TRACKERS}


@pytest.fixture(autouse=True)
def tables(own_workplace: Path, mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "BATCH_SECONDS", 0.01)
    monkeypatch.setattr(follower_module, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(follower_module, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(optuna_view, "CLAIM_SECONDS", 0.0)


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> TrackerKind:
    return KINDS[request.param]


class Place:
    """A working directory with a study in it, and sentences that were said about it."""

    def __init__(self, name: str) -> None:
        self.folder = Path(name).absolute()
        self.paths = StudyPaths(self.folder / "study")
        self.paths.folder.mkdir(parents=True)
        (self.paths.folder / "model.keras").write_bytes(b"weights")
        found = events(self.paths.folder / "model.keras")
        self.log = [LogRecord(seq, event) for seq, event in enumerate(found, start=1)]
        self.said: list[str] = []

    def tracker(self, kind: TrackerKind, *, restore: bool = False) -> Tracker:
        """Another one, as in another process."""
        return kind.make(TrackedStudy(self.paths, EXPERIMENT, note=self.said.append, restore=restore))


@contextlib.contextmanager
def place(name: str) -> Iterator[Place]:
    """Make it the working directory, whose stores are used."""
    before = Path.cwd()
    made = Place(name)
    os.chdir(made.folder)
    try:
        yield made
    finally:
        os.chdir(before)


def undisturbed(kind: TrackerKind) -> tuple[dict[Any, Any], Calls]:
    """What the store holds if nothing happens, and the calls that it took."""
    calls = Calls()
    with place("undisturbed") as here:
        with watched(SUBJECTS[kind.name].target, calls):
            tracker = here.tracker(kind)
            tracker.apply(here.log)
            tracker.reconcile()
        assert not here.said
        return SUBJECTS[kind.name].content(), calls


def deliver(tracker: Tracker, log: Sequence[LogRecord], rest: Sequence[LogRecord] = ()) -> None:
    """Give a tracker the rest of the log; after an error, as the follower does, all of it from the first "
    "record."""
    try:
        tracker.apply(rest or log)
    except StoreError:
        raise
    except Exception:  # noqa: BLE001 - a store may fail in any way
        tracker.apply(log)
    tracker.reconcile()


def test_every_tracker_takes_part() -> None:
    assert SUBJECTS.keys() == KINDS.keys()


@pytest.mark.parametrize("died", [0, 1] if LONG else [None])
@pytest.mark.parametrize("after", [False, True], ids=["fails", "answer lost"])
def test_every_call_may_fail_once(kind: TrackerKind, after: bool, died: int | None) -> None:
    """Then it is tried again, or the process has died and another takes over: in turn, or (long) each both "
    "ways."""
    expected, calls = undisturbed(kind)
    subject = SUBJECTS[kind.name]
    assert len(calls.seen) > 10
    for number, name in enumerate(calls.seen):
        another = bool(died) if died is not None else (number + after) % 2 == 1
        with place(f"call-{number}") as here:
            with watched(subject.target, Calls(fail_at=number, after=after)):
                tracker = here.tracker(kind)
                with pytest.raises(Exception, match=r"away|lost|commit"):
                    tracker.apply(here.log)
                    tracker.reconcile()
                tracker = here.tracker(kind) if another else tracker
                tracker.apply(here.log)
                tracker.reconcile()
            assert subject.content() == expected, f"call {number}, {name}"
            assert not here.said, f"call {number}, {name}"


def follow(here: Place, make: Callable[[], Tracker], name: str, upto: int = 0) -> tuple[Follower, list[str]]:
    said: list[str] = []
    follower = Follower(make, name, replay=lambda: here.log, note=said.append)
    for record in here.log[: upto or None]:
        follower.feed(record)
    return follower, said


def test_a_store_that_is_away_at_first_has_everything_in_the_end(kind: TrackerKind) -> None:
    """First contact fails: nothing that was noted before it may be taken for done."""
    expected, _ = undisturbed(kind)
    subject = SUBJECTS[kind.name]
    with place("away") as here:
        calls = Calls(fail_at=0)
        with watched(subject.target, calls):
            follower, said = follow(here, lambda: here.tracker(kind), kind.name)
            while len(calls.seen) < 4:
                calls.fail_at = len(calls.seen)
                time.sleep(0.002)
            calls.fail_at = None
            assert follower.close(lambda: (20.0, 60.0)).caught_up
        assert subject.content() == expected
        assert len(said) == 1, "a reason is told once"
        assert "is away" in said[0]
        assert "The sweep goes on" in said[0]
        assert "s3cret" not in said[0]


def test_a_store_that_fails_now_and_then_while_records_come(kind: TrackerKind) -> None:
    """Later batches have no beginning of the log in them: it is read again."""
    expected, _ = undisturbed(kind)
    subject = SUBJECTS[kind.name]
    with place("sometimes") as here:
        calls = Calls(after=True)
        with watched(subject.target, calls):
            follower, _ = follow(here, lambda: here.tracker(kind), kind.name, upto=1)
            for record in here.log[1:]:
                calls.fail_at = len(calls.seen) + 1
                follower.feed(record)
                time.sleep(0.05)
            calls.fail_at = None
            assert follower.close(lambda: (20.0, 60.0)).caught_up
        assert subject.content() == expected


def test_a_store_that_is_slow_holds_nothing_up(kind: TrackerKind) -> None:
    expected, _ = undisturbed(kind)
    subject = SUBJECTS[kind.name]
    answers = threading.Event()
    with place("slow") as here, watched(subject.target, Calls(answers=answers)):
        follower, said = follow(here, lambda: here.tracker(kind), kind.name)
        answers.set()
        assert follower.close(lambda: (20.0, 60.0)).caught_up
        assert not said
    with place_again("slow"):
        assert subject.content() == expected


@contextlib.contextmanager
def place_again(name: str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(name)
    try:
        yield
    finally:
        os.chdir(before)


def without(content: dict[Any, Any], deletion: Deletion) -> dict[Any, Any]:
    """What the store holds without what is left out."""
    return {
        trial: found | ({"models": []} if trial in deletion.no_model else {})
        if isinstance(found, dict)
        else found
        for trial, found in content.items()
        if trial not in deletion.gone
    }


@pytest.mark.parametrize("asleep", [False, True], ids=["under it", "while it sleeps"])
@pytest.mark.parametrize(
    ("tracker_name", "what"),
    [(name, what) for name, subject in SUBJECTS.items() for what in subject.deletions],
)
def test_what_people_delete_or_change_in_the_store(tracker_name: str, what: str, asleep: bool) -> None:
    """What they deleted stays deleted and is named, until it is restored; the rest is tracked."""
    kind, subject = KINDS[tracker_name], SUBJECTS[tracker_name]
    deletion = subject.deletions[what]
    expected, _ = undisturbed(kind)
    with place("here") as here:
        tracker = here.tracker(kind)
        tracker.apply(here.log[:HALF])
        deletion.act()
        if asleep:
            tracker = here.tracker(kind)
        if deletion.refused:
            with pytest.raises(Exception, match="deleted"):
                tracker.apply(here.log if asleep else here.log[HALF:])
            with pytest.raises(StoreError, match=deletion.said):
                here.tracker(kind).apply(here.log)
        else:
            deliver(tracker, here.log, () if asleep else here.log[HALF:])
            assert subject.content() == without(expected, deletion)
            deliver(here.tracker(kind), here.log)  # `harness sync` finds it as the sweep left it
            assert subject.content() == without(expected, deletion)
            assert (
                any(deletion.said in sentence for sentence in here.said)
                == bool(here.said)
                == bool(deletion.said)
            )
        again = here.tracker(kind, restore=True)
        again.apply(here.log)
        again.reconcile()
        assert subject.content() == expected
        here.said.clear()
        deliver(here.tracker(kind), here.log)
        assert subject.content() == expected
        assert not any("deleted" in sentence for sentence in here.said)
