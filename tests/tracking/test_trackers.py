"""One suite of failures for every tracker: whatever happens to its store, it catches up and ends as if
nothing had.

Another tracker takes part by its entry in `TRACKERS` and one in `SUBJECTS`, as the tests' own does here.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.paths import StudyPaths
from harness.records import LogRecord
from harness.study.event_log import EventLog, read
from harness.tracking import background, optuna_storage
from harness.tracking.audit import audit_study
from harness.tracking.background import BackgroundTracker
from harness.tracking.sync import sync_study
from harness.tracking.tracker import Audit, TrackedStudy, Tracker
from harness.tracking.trackers import TRACKERS
from tests.conftest import keep_tables
from tests.tracking.subjects import EXPERIMENT, LINES, LINES_KIND, SUBJECTS, Calls, Deletion, watched
from tests.tracking.test_mlflow_tracker import events

pytestmark = pytest.mark.slow

LONG = os.environ.get("HARNESS_FAULTS") == "long"
BEST = 0
"""The best trial."""
HALF = 11
"""Records after which trial 0 has ended, and the other two have begun."""
KINDS = TRACKERS | {LINES: LINES_KIND}


@pytest.fixture(autouse=True)
def tables(own_workplace: Path, mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "BATCH_SECONDS", 0.01)
    monkeypatch.setattr(background, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(background, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(optuna_storage, "CLAIM_SECONDS", 0.0)


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    """A tracker's name in the registry."""
    return str(request.param)


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

    def tracker(self, kind: str, *, restore: bool = False) -> Tracker:
        """Another one, as in another process."""
        return KINDS[kind].make(TrackedStudy(self.paths, EXPERIMENT, note=self.said.append, restore=restore))


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


@cache
def undisturbed(kind: str) -> tuple[dict[Any, Any], Calls]:
    """What the store holds if nothing happens, and the calls that it took."""
    calls = Calls()
    with place("undisturbed") as here:
        with watched(SUBJECTS[kind].target, calls):
            tracker = here.tracker(kind)
            tracker.apply(here.log)
            tracker.reconcile()
        assert not here.said
        return SUBJECTS[kind].content(), calls


def deliver(tracker: Tracker, log: Sequence[LogRecord], rest: Sequence[LogRecord] = ()) -> None:
    """Give a tracker the rest of the log; after an error all of it, as a background tracker does."""
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
def test_every_call_may_fail_once(kind: str, after: bool, died: int | None) -> None:
    """Then it is tried again, or the process has died and another takes over: in turn, or (long) both."""
    expected, calls = undisturbed(kind)
    subject = SUBJECTS[kind]
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


def fed(
    here: Place, make: Callable[[], Tracker], name: str, upto: int = 0
) -> tuple[BackgroundTracker, list[str]]:
    said: list[str] = []
    background = BackgroundTracker(make, name, replay=lambda: here.log, note=said.append)
    for record in here.log[: upto or None]:
        background.feed(record)
    return background, said


def test_a_store_that_is_away_at_first_has_everything_in_the_end(kind: str) -> None:
    """First contact fails: nothing that was noted before it may be taken for done."""
    expected, _ = undisturbed(kind)
    subject = SUBJECTS[kind]
    with place("away") as here:
        calls = Calls(fail_at=0)
        with watched(subject.target, calls):
            background, said = fed(here, lambda: here.tracker(kind), kind)
            while len(calls.seen) < 4:
                calls.fail_at = len(calls.seen)
                time.sleep(0.002)
            calls.fail_at = None
            assert background.close(lambda: (20.0, 60.0)).caught_up
        assert subject.content() == expected
        assert len(said) == 1, "a reason is told once"
        assert "is away" in said[0]
        assert "The sweep goes on" in said[0]
        assert "s3cret" not in said[0]


def test_a_store_that_fails_now_and_then_while_records_come(kind: str) -> None:
    """Later batches have no beginning of the log in them: it is read again."""
    expected, _ = undisturbed(kind)
    subject = SUBJECTS[kind]
    with place("sometimes") as here:
        calls = Calls(after=True)
        with watched(subject.target, calls):
            background, _ = fed(here, lambda: here.tracker(kind), kind, upto=1)
            for record in here.log[1:]:
                calls.fail_at = len(calls.seen) + 1
                background.feed(record)
                time.sleep(0.05)
            calls.fail_at = None
            assert background.close(lambda: (20.0, 60.0)).caught_up
        assert subject.content() == expected


def test_a_store_that_is_slow_holds_nothing_up(kind: str) -> None:
    expected, _ = undisturbed(kind)
    subject = SUBJECTS[kind]
    answers = threading.Event()
    with place("slow") as here, watched(subject.target, Calls(answers=answers)):
        background, said = fed(here, lambda: here.tracker(kind), kind)
        answers.set()
        assert background.close(lambda: (20.0, 60.0)).caught_up
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
    kept = {trial: found for trial, found in content.items() if trial not in deletion.gone}
    for trial in deletion.no_model:
        kept[trial] = kept[trial] | {"models": [], "shows": []}
    if BEST in deletion.no_model:
        kept[None] = kept[None] | {"shows": []}
    return renamed(kept, deletion)


def renamed(content: dict[Any, Any], deletion: Deletion) -> dict[Any, Any]:
    """The same with the names that people have given."""
    given = {trial: content[trial] | {"name": name} for trial, name in deletion.names.items()}
    return content | given


@pytest.mark.parametrize("asleep", [False, True], ids=["under it", "while it sleeps"])
@pytest.mark.parametrize(
    ("kind", "what"),
    [(name, what) for name, subject in SUBJECTS.items() for what in subject.deletions],
)
def test_what_people_delete_or_change_in_the_store(kind: str, what: str, asleep: bool) -> None:
    """What they deleted stays deleted and is named, until it is restored; the rest is tracked."""
    subject = SUBJECTS[kind]
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
            audit = here.tracker(kind).audit(here.log)
            assert not problems(audit)
            noted = deletion.gone | deletion.no_model
            assert all(any(f"trial {trial} was" in note for note in notes(audit)) for trial in noted)
            assert len(notes(audit)) == len(noted)
        again = here.tracker(kind, restore=True)
        again.apply(here.log)
        again.reconcile()
        assert subject.content() == renamed(expected, deletion)
        here.said.clear()
        deliver(here.tracker(kind), here.log)
        assert subject.content() == renamed(expected, deletion)
        assert not any("deleted" in sentence for sentence in here.said)
        assert here.tracker(kind).audit(here.log) == Audit()


def problems(audit: Audit) -> list[str]:
    """In whatever respect."""
    found = (audit.values, audit.models, audit.unfinished, audit.states)
    return [problem for one in found for problem in one.problems]


def notes(audit: Audit) -> list[str]:
    return [
        note for one in (audit.values, audit.models, audit.unfinished, audit.states) for note in one.notes
    ]


@pytest.mark.parametrize("upto", [0, 1, HALF, 14])
def test_an_audit_finds_what_is_missing_and_changes_nothing(kind: str, upto: int) -> None:
    with place("audited") as here:
        if upto:
            here.tracker(kind).apply(here.log[:upto])
        before = subject_files(here)
        assert problems(here.tracker(kind).audit(here.log))
        assert subject_files(here) == before
        deliver(here.tracker(kind), here.log)
        assert here.tracker(kind).audit(here.log) == Audit()


def subject_files(here: Place) -> list[str]:
    """Whatever there is, but for the files that SQLite makes while a database is open."""
    names = (str(file.relative_to(here.folder)) for file in here.folder.rglob("*"))
    return sorted(name for name in names if not name.endswith(("-wal", "-shm")))


def test_a_registered_tracker_is_synced_and_audited_beside_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes a file and a line: nothing else has to know of it."""
    monkeypatch.setitem(TRACKERS, LINES, LINES_KIND)
    with place("synced") as here:
        log = EventLog(here.paths.log)
        for record in here.log:
            log.append(record.event)
        log.close()
        records = read(here.paths.log)
        assert "the copy lacks record 1" in [
            one for audit in audit_study(here.paths, records) for one in problems(audit)
        ]
        sync_study(here.paths)
        assert audit_study(here.paths, records) == [Audit()] * len(TRACKERS)
        assert len(SUBJECTS[LINES].content()[None]) == len(here.log)


def test_the_registry_imports_nothing_heavy() -> None:
    script = "import sys, harness.tracking.trackers; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"mlflow", "optuna", "sqlalchemy", "tensorflow", "keras", "pandas"}
