"""Workers as actors of a Ray cluster, which places them; they come and go with its nodes.

Every worker is asked for at once. Ray starts as many as the cluster has room for; the others wait until a
node joins or another worker ends. A worker whose node is lost is asked for again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import __version__
from harness.engine import local
from harness.engine.kind import EngineKind, EngineSettings
from harness.engine.memory import GIB
from harness.engine.protocol import EngineEvent, WorkerLost
from harness.engine.ray_actor import RayWorker, Told, WorkerStart
from harness.engine.ray_code import own_code
from harness.engine.ray_connection import connect, disconnect, ray_module
from harness.engine.ray_files import DataKey, make_token
from harness.engine.ray_head import HeadWatch
from harness.engine.ray_loss import gone
from harness.engine.ray_placement import idle_gpus, share, side_by_side, threads_of, without_room
from harness.engine.ray_supply import Supply
from harness.engine.wire import Request, StopSegment, decode_report, encode_request
from harness.errors import EngineError
from harness.paths import is_full
from harness.records import Question, Segment
from harness.study_files import study_files

LISTEN_SECONDS = 2.0
"""How long an actor waits for something to say."""
CALLS = 6
"""Of an actor's methods at a time."""
CLOSE_SECONDS = 8.0
ROOM_SECONDS = 2.0
"""How often it is looked whether there is room for a file on a full disk."""
PREFIXES = ("TF_", "XLA_", "ONEDNN_", "DNNL_", "NVIDIA_TF32", "CUBLAS_WORKSPACE", "MKL_CBWR")
"""Of the environment variables that decide how numbers are computed, which go to every node."""


@dataclass(slots=True)
class _Actor:
    """One worker that has been asked for."""

    handle: Any
    about: Any
    """A reference to what it says of itself, once it has been placed; None: that has been heard."""
    told: Any = None
    """A reference to what it says next; None: what it has said is still to be dealt with."""
    where: str = ""
    """Its node, for people."""
    cpu_seconds: float = 0.0
    grown: bool = False
    sent: int = 0
    """Requests so far."""
    unwritten: tuple[Told, dict[str, bytes]] | None = None
    """What it has said and sent, but there was no room for."""


class RayEngine:
    """Up to `workers` actors, as many as the cluster has room for."""

    def __init__(self, settings: EngineSettings) -> None:
        """Connect to nothing yet."""
        self._settings = settings
        self._study = settings.study
        self._actors: dict[int, _Actor] = {}
        self._keys: dict[tuple[str, str], DataKey] = {}
        self._segments: dict[int, Segment] = {}
        """By worker, what it was given last."""
        self._supply = Supply(settings.note)
        self._token: Path | None = None
        self._code: dict[str, str] = {}
        """The user's own network, the same for all workers, whatever happens to its files meanwhile."""
        self._head = HeadWatch(settings.note)
        self._ray: Any = None
        self._remote: Any = None
        self._looked = 0.0
        """When it was looked last whether there is room."""

    @property
    def workers(self) -> int:
        """How many are asked for."""
        return self._settings.workers

    def start(self) -> None:
        """Connect, and ask for every worker.

        Raises:
            EngineError: there is no cluster, this machine alone has no room for a worker, or a network of the
                user's own cannot be read.
        """
        self._ray = ray_module()
        connect(self, self._settings)
        self._head.begin(self._settings.address)
        self._token = make_token(self._study)
        self._code = own_code(self._settings.model, Path.cwd())
        self._remote = self._ray.remote(RayWorker)
        asked, nodes = self._settings.resources, self._ray.nodes()
        lacking, idle = without_room(asked, nodes), idle_gpus(asked, nodes)
        if lacking is not None and self._settings.address is None:
            raise EngineError(lacking)
        if lacking is not None:
            self._settings.note(f"{lacking} The sweep waits until one joins.")
        if idle is not None:
            self._settings.note(idle)
        for worker in range(self.workers):
            self._launch(worker)

    def submit(self, worker: int, segment: Segment) -> None:
        """Send the segment to the actor, with what the data that it needs is recognised by."""
        dataset = segment.dataset
        place = dataset.folder, dataset.split
        if place not in self._keys:
            self._keys[place] = DataKey.of(*place)
        self._segments[worker] = segment
        self._send(worker, segment, json.dumps(asdict(self._keys[place])))

    def ask(self, worker: int, question: Question) -> None:
        """Send the question to the actor."""
        self._send(worker, question)

    def stop_segment(self, worker: int) -> None:
        """Ask the worker to end its segment at the next pulse."""
        self._send(worker, StopSegment())

    def poll(self, timeout: float) -> list[EngineEvent]:
        """What actors have said; one that cannot be spoken to is lost.

        Raises:
            EngineError: the cluster cannot be reached any more, its nodes have another version of harness, or
                the data cannot be sent to them.
        """
        self._supply.check()
        self._head.check()
        try:
            return self._look(timeout)
        except (ConnectionError, self._ray.exceptions.RaySystemError) as error:
            raise EngineError(
                f"The connection to the Ray cluster is lost ({error}). What is durable stays; go on with the "
                "study when the cluster can be reached again: harness resume"
            ) from error

    def _look(self, timeout: float) -> list[EngineEvent]:
        waiting = {
            reference: worker
            for worker, actor in self._actors.items()
            for reference in (actor.about, actor.told)
            if reference is not None
        }
        events = [event for worker in list(self._actors) for event in self._again(worker)]
        if not waiting:
            time.sleep(timeout)
            return events
        ready, _ = self._ray.wait(list(waiting), timeout=0 if events else timeout)
        if ready:  # and all others that are there by now
            ready, _ = self._ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        return events + [event for reference in ready for event in self._heard(waiting[reference], reference)]

    def has_grown(self, worker: int) -> bool:
        """Whether the worker's process should be replaced, as it was when it was heard last."""
        actor = self._actors.get(worker)
        return actor is not None and actor.grown

    def cpu_seconds(self, worker: int) -> float:
        """The processor time of the worker, as it was when it was heard last."""
        actor = self._actors.get(worker)
        return 0.0 if actor is None else actor.cpu_seconds

    def restart(self, worker: int) -> None:
        """End what is left of the worker, and ask for another."""
        self._end(worker)
        self._launch(worker)

    def close(self) -> None:
        """End every worker and the connection."""
        if self._ray is None:
            return
        with contextlib.suppress(Exception):  # what cannot be spoken to is ended all the same
            closing = [actor.handle.close.remote() for actor in self._actors.values() if actor.where]
            if closing:
                self._ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS)
        for worker in list(self._actors):
            self._end(worker)
        self._supply.close()
        self._head.close()
        if self._token is not None:
            self._token.unlink(missing_ok=True)
        disconnect(self)
        self._ray = None

    def _launch(self, worker: int) -> None:
        settings, asked = self._settings, self._settings.resources
        assert self._token is not None
        start = WorkerStart(
            study=str(self._study.folder),
            token=self._token.name,
            worker=worker,
            threads=threads_of(settings),
            side_by_side=side_by_side(settings),
            worker_memory=settings.worker_memory,
            data_memory=settings.data_memory,
            directory=str(Path.cwd()),
            code=self._code,
            variables={name: value for name, value in os.environ.items() if name.startswith(PREFIXES)},
        )
        handle = self._remote.options(
            num_cpus=asked.cpus,
            num_gpus=asked.gpus,
            memory=None if asked.memory is None else int(asked.memory * GIB),
            max_restarts=0,
            max_concurrency=CALLS,
        ).remote(json.dumps(asdict(start)))
        self._actors[worker] = _Actor(handle, handle.about.remote())

    def _end(self, worker: int) -> None:
        actor = self._actors.pop(worker, None)
        if actor is not None:
            with contextlib.suppress(Exception):  # it may be gone with its node
                self._ray.kill(actor.handle)

    def _send(self, worker: int, request: Request, *further: str) -> None:
        # Where the actor is gone, what it says next fails, and its segment is given to another.
        actor = self._actors[worker]
        with contextlib.suppress(self._ray.exceptions.RayError):
            actor.handle.send.remote(actor.sent, encode_request(request), *further)
        actor.sent += 1

    def _heard(self, worker: int, reference: Any) -> list[EngineEvent]:
        """What a reference that is ready says."""
        actor = self._actors[worker]
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            actor.about = actor.told = None
            own_fault = isinstance(error, self._ray.exceptions.RayTaskError)
            return [gone(worker, actor.where, error, own_fault=own_fault)]
        if reference == actor.about:
            actor.about = None
            self._meet(worker, actor, json.loads(answer))
            actor.told = actor.handle.listen.remote(LISTEN_SECONDS)
            return []
        text, files = answer
        actor.told = None
        return self._take(worker, actor, Told(**json.loads(text)), files)

    def _meet(self, worker: int, actor: _Actor, about: dict[str, Any]) -> None:
        """The worker has been placed.

        Raises:
            EngineError: its node has another version of harness.
        """
        if about["version"] != __version__:
            raise EngineError(
                f"harness is {__version__} here and {about['version']} on the node {about['host']}, so that "
                "they may not train alike. Install the same version on all nodes."
            )
        actor.where = str(about["host"])
        if not about["sees_study"]:
            how = f"go to {self._settings.files}" if self._settings.files else "come through Ray"
            self._settings.note(
                f"Worker {worker} runs on {actor.where}, which does not see {self._study.folder}: its files "
                f"{how}."
            )

    def _again(self, worker: int) -> list[EngineEvent]:
        """What was kept because there was no room for its files."""
        actor = self._actors[worker]
        if actor.unwritten is None or time.monotonic() - self._looked < ROOM_SECONDS:
            return []
        told, files = actor.unwritten
        return self._take(worker, actor, told, files)

    def _take(self, worker: int, actor: _Actor, told: Told, files: dict[str, bytes]) -> list[EngineEvent]:
        """Keep the files that a worker has sent, and only then say what it has said."""
        actor.cpu_seconds, actor.grown, actor.unwritten = told.cpu_seconds, told.grown, None
        if any(hashlib.sha256(files[name]).hexdigest() != sha256 for name, sha256 in told.files.items()):
            return [
                WorkerLost(
                    worker, f"A file of worker {worker} on {actor.where} arrived damaged.", "preempted"
                )
            ]
        try:
            _write(str(self._study.folder), files)
        except OSError as error:
            if not is_full(error):
                raise EngineError(
                    f"A file of a trial cannot be written to {self._study.folder}: {error.strerror or error}."
                ) from error
            self._looked = time.monotonic()
            actor.unwritten = told, files
            self._settings.note(
                f"The sweep waits: {error.strerror} ({self._study.folder}). Make room and it goes on."
            )
            return []
        for want in told.wants:
            segment = self._segments[worker]
            key = self._keys[segment.dataset.folder, segment.dataset.split]
            self._supply.give(actor.handle, actor.where, segment, key, want)
        events = [local.told_by(worker, decode_report(line)) for line in told.reports]
        if told.lost is not None:
            reason, failure = told.lost
            return [*events, WorkerLost(worker, f"On {actor.where}: {reason}", failure)]
        actor.told = actor.handle.listen.remote(LISTEN_SECONDS)
        return events


def _write(study: str, files: dict[str, bytes]) -> None:
    place = study_files(study)
    for name, content in files.items():
        place.write(name, lambda temporary, content=content: temporary.write_bytes(content))  # type: ignore[misc]


KIND = EngineKind(
    about="Actors of a Ray cluster, or of a Ray on this machine; they come and go with its nodes.",
    build=RayEngine,
    default_workers=local.default_workers,
    processes=lambda _: [],  # they are processes of the local engine, wherever they run
    share=share,
    has_address=True,
)
