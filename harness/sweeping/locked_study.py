"""A study at rest, locked by a command that adds to it what no sweep does, such as an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from harness.engine import make_engine
from harness.engine.kind import EngineSettings
from harness.errors import StudyError
from harness.paths import StudyPaths, when_there_is_room
from harness.records import Event
from harness.study.event_log import EventLog
from harness.study.lock import study_lock
from harness.study.state import StudyState, fold
from harness.sweeping.plan import Stop
from harness.sweeping.waiting import wait_for_room
from harness.sweeping.workers import Workers
from harness.tracking.cursor import rebuild_runs
from harness.tracking.notes import told_once
from harness.tracking.running import close_trackers, start_trackers
from harness.tracking.storage_lock import storage_lock
from harness.tracking.tracker import TrackedStudy


@dataclass(frozen=True, slots=True)
class LockedStudy:
    """A study whose log nobody else writes to."""

    paths: StudyPaths
    log: EventLog
    state: StudyState
    """Kept up to date with what is written."""
    note: Callable[[str], None]
    """Told what a person should know."""

    def write(self, event: Event) -> None:
        """Write an event, durably; while the disk is full, that is said and waited for.

        Raises:
            OSError: the log cannot be written, and not for want of room.
        """
        wait = wait_for_room(self.note, Stop(), who="The command")
        record = when_there_is_room(partial(self.log.append, event, durable=True), wait)
        self.state.apply(record)
        self.log.records.append(record)

    @contextmanager
    def worker(self) -> Iterator[Workers]:
        """One worker that can be asked questions; it ends with the block."""
        search = self.state.experiment.search
        settings = EngineSettings(self.paths, 1, search.worker_memory, search.data_memory)
        with closing(make_engine(settings)) as engine:
            engine.start()
            yield Workers(engine, None)

    def track(self) -> tuple[str, ...]:
        """Tell the trackers all of the log; sentences about those that are behind."""
        study = TrackedStudy(self.paths, self.state.experiment.name, note=told_once(self.note))
        return close_trackers(start_trackers(study, self.log), lambda: False)


@contextmanager
def locked_study(paths: StudyPaths, note: Callable[[str], None]) -> Iterator[LockedStudy]:
    """Lock a study and open its log for writing, for as long as the block lasts.

    Args:
        paths: of the study, which must not be running.
        note: told what a person should know.

    Raises:
        StudyError: the study is running, it never began, or its log is damaged.
    """
    with (
        study_lock(paths),
        storage_lock(paths.folder.name, note),
        closing(EventLog(paths.log)) as log,
    ):
        if log.repairs:
            rebuild_runs(paths)
        for sentence in log.repairs:
            note(sentence)
        state = fold(log.records)
        if not state.has_begun:
            raise StudyError("The study never began: its event log is empty.")
        yield LockedStudy(paths, log, state, note)
