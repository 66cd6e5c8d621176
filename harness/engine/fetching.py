"""An engine whose workers keep a study's files in an object store, whatever engine it is otherwise.

Workers write checkpoints, models and predictions there, and read checkpoints from there, which never pass
through the coordinator. Models and predictions of finished trainings are fetched into the study's folder,
with their SHA-256 checked, before the coordinator hears of them: whatever is done with a study later needs
nothing but its folder.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from harness.clock import now_ms
from harness.engine.protocol import Engine, EngineEvent, Reported, WorkerLost
from harness.errors import EngineError, UnreachableError
from harness.paths import StudyPaths, is_full
from harness.paths.study import predictions_name
from harness.records import ModelSaved, Question, Segment, SegmentEnded, StoreAway, WorkerEvent
from harness.study_files import StudyFiles, study_files
from harness.train.store_waits import FIRST_SECONDS, MOST_SECONDS, waiting_for

FETCHES = 4
"""Side by side."""
LOOK_SECONDS = 0.05
"""How often it is looked whether something has come, while something is fetched."""
SAY_SECONDS = 2.0
"""How often it is said that something does not come."""


class _LostError(Exception):
    """What has come is not what was written, or nothing is there, or nobody waits for it any more."""


@dataclass(slots=True)
class _Held:
    """Something that a worker has said, which the coordinator hears when its files are there."""

    event: EngineEvent
    coming: Future[None] | None = None
    waits: str = ""
    """Why the files do not come."""
    said: float = 0.0
    """When that was told last."""
    dropped: bool = False
    """Nobody wants the files any more."""


@dataclass(slots=True)
class FetchingEngine:
    """Passes everything on to another engine, but segments with the place of their files, and fetches."""

    engine: Engine
    study: StudyPaths
    place: str
    """The URL of the study's files."""
    _threads: ThreadPoolExecutor = field(init=False)
    _held: defaultdict[int, deque[_Held]] = field(init=False)
    """By worker, in the order in which it was said."""
    _stopping: set[int] = field(default_factory=set)
    """Workers whose files are not waited for, as their segments are to end."""
    _closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Nothing is fetched yet."""
        self._threads = ThreadPoolExecutor(FETCHES, thread_name_prefix="fetch")
        self._held = defaultdict(deque)

    @property
    def workers(self) -> int:
        """As many as the engine has."""
        return self.engine.workers

    def start(self) -> None:
        """Start the engine."""
        self.engine.start()

    def submit(self, worker: int, segment: Segment) -> None:
        """Hand the segment on, with the place of its files."""
        self._stopping.discard(worker)
        self.engine.submit(worker, replace(segment, study_folder=self.place))

    def ask(self, worker: int, question: Question) -> None:
        """Pass the question on."""
        self.engine.ask(worker, question)

    def stop_segment(self, worker: int) -> None:
        """Pass it on, and wait no longer for a store that is away."""
        self._stopping.add(worker)
        self.engine.stop_segment(worker)

    def poll(self, timeout: float) -> list[EngineEvent]:
        """What workers have said, as far as all files are there that it is about.

        Raises:
            EngineError: a file cannot be written to the study's folder, or the engine has failed.
        """
        soon = any(self._held.values())
        for event in self.engine.poll(min(timeout, LOOK_SECONDS) if soon else timeout):
            self._hold(event)
        return [event for worker in list(self._held) for event in self._due(worker)]

    def has_grown(self, worker: int) -> bool:
        """What the engine says."""
        return self.engine.has_grown(worker)

    def cpu_seconds(self, worker: int) -> float:
        """What the engine says."""
        return self.engine.cpu_seconds(worker)

    def restart(self, worker: int) -> None:
        """Forget what the worker has said, and have the engine replace it."""
        self._forget(worker)
        self.engine.restart(worker)

    def close(self) -> None:
        """End the engine; nothing more is fetched."""
        self._closing.set()
        for worker in list(self._held):
            self._forget(worker)
        self.engine.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _hold(self, event: EngineEvent) -> None:
        held = _Held(event)
        files = _files(event.event) if isinstance(event, Reported) else {}
        if files:
            held.coming = self._threads.submit(self._fetch, held, files)
        self._held[event.worker].append(held)

    def _due(self, worker: int) -> list[EngineEvent]:
        """What can be heard of a worker by now."""
        queue, due = self._held[worker], list[EngineEvent]()
        while queue:
            head = queue[0]
            if head.coming is not None and not head.coming.done():
                return due + self._waits(head)
            error = None if head.coming is None else head.coming.exception()
            if isinstance(error, _LostError):
                self._forget(worker)
                return [*due, WorkerLost(worker, str(error), "preempted")]
            if error is not None:
                raise EngineError(
                    f"A file of a trial cannot be written to {self.study.folder}: {error}."
                ) from error
            due.append(queue.popleft().event)
        return due

    def _waits(self, held: _Held) -> list[EngineEvent]:
        """Says now and then why something is not heard, so that the worker does not count as silent."""
        now = time.monotonic()
        if not held.waits or now - held.said < SAY_SECONDS:
            return []
        assert isinstance(held.event, Reported)
        held.said, about = now, held.event.event
        away = StoreAway(trial=about.trial, attempt=about.attempt, message=held.waits, time=now_ms())
        return [Reported(held.event.worker, away)]

    def _forget(self, worker: int) -> None:
        for held in self._held.pop(worker, ()):
            held.dropped = True

    def _fetch(self, held: _Held, files: dict[str, str]) -> None:
        """Bring files into the study's folder, however long that takes.

        Args:
            held: told why it takes long.
            files: SHA-256 by name.

        Raises:
            _LostError: one is not what it was, is gone, or cannot be had before the sweep ends.
            OSError: one cannot be written, and not for want of room.
        """
        here, there, pause = study_files(self.study.folder), study_files(self.place), FIRST_SECONDS
        for name, sha256 in files.items():
            while not held.dropped:
                try:
                    _copy(there, here, name, sha256, held)
                    break
                except UnreachableError as error:
                    held.waits = waiting_for(error)
                except OSError as error:
                    if not is_full(error):
                        raise
                    held.waits = (
                        f"The sweep waits: {error.strerror} ({here.shown(name)}). Make room and it goes on."
                    )
                if held.event.worker in self._stopping:
                    raise _LostError(f"{here.shown(name)} was not waited for. {held.waits}")
                self._closing.wait(pause)
                pause = min(2 * pause, MOST_SECONDS)


def _copy(there: StudyFiles, here: StudyFiles, name: str, sha256: str, held: _Held) -> None:
    try:
        content = there.read(name)
    except FileNotFoundError:
        raise _LostError(f"The file {there.shown(name)} is gone.") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _LostError(f"The file {there.shown(name)} is not what was written: its SHA-256 differs.")
    if not held.dropped:
        here.write(name, lambda local: local.write_bytes(content))


def _files(event: WorkerEvent) -> dict[str, str]:
    """The files that must be in the study's folder when an event is heard: SHA-256 by name."""
    files: dict[str, str] = {}
    if isinstance(event, ModelSaved):
        files = {event.file: event.sha256, predictions_name(event.trial): event.reference_sha256}
    if isinstance(event, ModelSaved | SegmentEnded) and event.predictions:
        files[event.predictions] = event.predictions_sha256
    return files
