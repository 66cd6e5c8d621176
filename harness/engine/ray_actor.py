"""A worker on a node of a Ray cluster: an actor that runs one process of the local engine there.

The process is the same as on one machine: it trains the same segments, is watched for its memory, and takes
nothing with it when it crashes. The actor only passes on what is said, as lines of `harness.engine.wire`. So
an actor that is gone means that its node, or Ray, has taken it away, and never that a trial has failed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from harness import __version__
from harness.engine.local import LocalEngine
from harness.engine.memory import worker_memory
from harness.engine.protocol import Answered, EngineEvent, Reported, WorkerLost, WorkerReady
from harness.engine.ray_code import holds, placed
from harness.engine.ray_files import DataKey, Outbox, Published, fetch, scratch_folder
from harness.engine.wire import Ready, Report, Request, StopSegment, decode_request, encode_report
from harness.errors import HarnessError
from harness.gpus import gpu_memory, gpus
from harness.paths import StudyPaths, make_folder
from harness.records import (
    CheckpointSaved,
    FailureKind,
    ModelSaved,
    Question,
    Segment,
    SegmentEnded,
    TrainingEnded,
    WorkerEvent,
)
from harness.study_files import is_bucket

POLL_SECONDS = 0.1
DATA = "data"
"""What a worker says that it wants, beside names of files of the study."""


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """What an actor is made of."""

    study: str
    """The study's folder where the coordinator is."""
    token: str
    """The name of a file in the study's folder of workers, by which the folder is recognised."""
    worker: int
    threads: int
    side_by_side: int
    """Workers that share a node's memory, and its GPUs."""
    worker_memory: float | None
    data_memory: float | None
    directory: str
    """The coordinator's working directory, where a network of the user's own may lie."""
    code: dict[str, str]
    """Its Python files, by their names there."""
    variables: dict[str, str]
    """Environment variables that decide how numbers are computed."""


@dataclass(slots=True)
class Told:
    """What an actor has to say at a time: JSON, but for the files."""

    reports: list[str] = field(default_factory=list)
    """Lines of `harness.engine.wire`."""
    lost: tuple[str, FailureKind] | None = None
    """Why the process is gone, and how its segment has failed."""
    wants: list[str] = field(default_factory=list)
    """`DATA`, and files of the study, that the segment waits for."""
    cpu_seconds: float = 0.0
    """That the actor and its process have used."""
    grown: bool = False
    """Whether the process should be replaced."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file that comes with it, by its name within the study."""


class RayWorker:
    """One worker. Ray calls its methods from several threads."""

    def __init__(self, start: str) -> None:
        """Start the process.

        Args:
            start: a `WorkerStart` in JSON.
        """
        self._start = WorkerStart(**json.loads(start))
        os.environ.update(self._start.variables)
        directory = Path(self._start.directory)
        if not holds(directory, self._start.code):
            directory = placed(self._start.code)
        if directory.is_dir():
            os.chdir(directory)
        study = StudyPaths(Path(self._start.study))
        self._outbox: Outbox | None = None
        if not (study.workers / self._start.token).exists():
            study = StudyPaths(scratch_folder())
            self._outbox = Outbox(study.folder)
        self._study = study
        self._early: dict[int, tuple[Request, DataKey | None]] = {}
        """Requests by number, before which others are still to come."""
        self._taken = 0
        self._waiting: deque[tuple[Request, DataKey | None]] = deque()
        self._wants: set[str] = set()
        """Files that the first waiting segment lacks."""
        self._asked: set[str] = set()
        """Those of them that the coordinator knows of."""
        self._supplied: set[str] = set()
        """Files of the study that it has given, or does not have itself."""
        self._lock = threading.Lock()
        """Held while requests are looked at."""
        self._polling = threading.Lock()
        """Held while the process is listened to, or ended."""
        self._data: dict[DataKey, Path] = {}
        self._grown = False
        self._failed: tuple[str, FailureKind] | None = None
        """Why no segment can begin, and how the first one has failed; None: nothing is wrong."""
        self._worker = self._start.worker
        devices = gpus()
        memory = worker_memory(
            self._start.side_by_side,
            len(devices) if gpu_memory() else 0,
            self._start.worker_memory,
            self._start.data_memory,
        )
        self._engine = LocalEngine(study, 1, devices, memory, self._start.threads, first=self._worker)
        make_folder(study.workers)
        self._engine.start()

    def about(self) -> str:
        """Where the worker runs, and what with, in JSON."""
        return json.dumps(
            {"host": socket.gethostname(), "version": __version__, "sees_study": self._outbox is None}
        )

    def send(self, number: int, line: str, key: str | None = None) -> None:
        """Take a request, which is passed on when all the files are there that it needs.

        Args:
            number: of the request, from 0; Ray may call in another order.
            line: what the process is told.
            key: a `DataKey` in JSON, if it is a segment.
        """
        request = decode_request(line), None if key is None else DataKey(**json.loads(key))
        with self._lock:
            self._early[number] = request
            while self._taken in self._early:
                self._waiting.append(self._early.pop(self._taken))
                self._taken += 1
            self._pass_on()

    def supply_data(self, key: str, files: list[tuple[str, str, list[Any]]]) -> None:
        """Fetch prepared data, which other workers of this node may be doing at the same time.

        Args:
            key: a `DataKey` in JSON.
            files: what the coordinator has published: name, SHA-256, chunks.
        """
        import ray

        wanted = DataKey(**json.loads(key))
        published = [Published(name, sha256, tuple(chunks)) for name, sha256, chunks in files]
        try:
            folder = fetch(wanted, published, ray.get)
        except (OSError, HarnessError) as error:
            self._give_up(str(error))
            return
        except ray.exceptions.RayError as error:  # the network, or the node that it comes from, is gone
            self._give_up(f"The data set has not arrived: {' '.join(str(error).split())}", "preempted")
            return
        with self._lock:
            self._data[wanted] = folder
            self._pass_on()

    def supply_files(self, files: dict[str, bytes]) -> None:
        """Keep files of the study that the segment needs; one that is gone is empty."""
        assert self._outbox is not None
        try:
            for name, content in files.items():
                if content:
                    self._outbox.put(name, content)
        except OSError as error:
            self._give_up(f"Checkpoints cannot be written there: {error.strerror or error}.")
            return
        with self._lock:
            self._supplied |= files.keys()
            self._pass_on()

    def listen(self, seconds: float) -> tuple[str, dict[str, bytes]]:
        """What there is to be said, waiting at most so long for something; `Told` in JSON, and files."""
        told, files = Told(), dict[str, bytes]()
        deadline = time.monotonic() + seconds
        while not (told.reports or told.lost or told.wants):
            with self._polling:
                for event in self._engine.poll(POLL_SECONDS):
                    self._tell(event, told, files)
            with self._lock:
                told.wants = sorted(self._wants - self._asked)
                self._asked |= self._wants
                told.lost = told.lost or self._failed
            if time.monotonic() > deadline:
                break
        told.grown = self._grown
        told.cpu_seconds = self._engine.cpu_seconds(self._worker) + sum(psutil.Process().cpu_times()[:2])
        told.files = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        return json.dumps(asdict(told)), files

    def close(self) -> None:
        """End the process and wait for it."""
        with self._polling:
            self._engine.close()
        if self._outbox is not None:
            shutil.rmtree(self._study.folder, ignore_errors=True)

    def _give_up(self, why: str, failure: FailureKind = "crash") -> None:
        with self._lock:
            self._failed = f"Worker {self._worker} on {socket.gethostname()} cannot begin. {why}", failure

    def _pass_on(self) -> None:
        """Give the process the requests whose files are there, in the order in which they came."""
        while self._waiting:
            request, key = self._waiting[0]
            if isinstance(request, Segment):
                assert key is not None
                self._wants = self._missing(request, key)
                if self._wants:
                    return
                request = self._here(request, key)
            self._waiting.popleft()
            self._asked.clear()
            self._supplied.clear()
            # If the process has just ended, the next poll says so, and the segment is given to another.
            with contextlib.suppress(KeyError):
                match request:
                    case Segment():
                        self._engine.submit(self._worker, request)
                    case Question():
                        self._engine.ask(self._worker, request)
                    case StopSegment():
                        self._engine.stop_segment(self._worker)

    def _missing(self, segment: Segment, key: DataKey) -> set[str]:
        """What a segment needs and this node does not have."""
        if key not in self._data and (folder := key.found()) is not None:
            self._data[key] = folder
        missing = set() if key in self._data else {DATA}
        if self._outbox is not None and not is_bucket(segment.study_folder):
            for known in (segment.checkpoint, segment.earlier_checkpoint):
                if known is not None and not (self._study.folder / known.file).exists():
                    missing.add(known.file)
        return missing - self._supplied

    def _here(self, segment: Segment, key: DataKey) -> Segment:
        """The segment with the paths of this node."""
        as_it_is = self._outbox is None or is_bucket(segment.study_folder)
        folder = segment.study_folder if as_it_is else str(self._study.folder)
        return replace(
            segment, dataset=replace(segment.dataset, folder=str(self._data[key])), study_folder=folder
        )

    def _tell(self, event: EngineEvent, told: Told, files: dict[str, bytes]) -> None:
        match event:
            case WorkerLost():
                told.lost = event.reason, event.failure
                return
            case WorkerReady():
                report: Report = Ready()
            case Answered():
                report = event.answer
            case Reported():
                report = event.event
                self._follow(report, files)
        told.reports.append(encode_report(report))

    def _follow(self, event: WorkerEvent, files: dict[str, bytes]) -> None:
        """What else is to be done when the process says something of its segment."""
        if isinstance(event, TrainingEnded):
            self._grown = self._engine.has_grown(self._worker)
        if self._outbox is None:
            return
        if isinstance(event, CheckpointSaved | ModelSaved | SegmentEnded):
            files |= self._outbox.take(event.trial)
        if isinstance(event, SegmentEnded) and event.over:
            self._outbox.forget(event.trial)
