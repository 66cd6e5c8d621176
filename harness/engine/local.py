"""Workers as local processes, each with its share of the cores (and its GPU)."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import IO

import psutil

from harness.engine.environment import SAFE_PATH, worker_environment
from harness.engine.kind import EngineKind, EngineSettings
from harness.engine.memory import GIB, GROWTH, WorkerMemory, own_memory, worker_memory
from harness.engine.protocol import Answered, EngineEvent, Reported, WorkerLost, WorkerReady
from harness.engine.sharing import OUT_OF_MEMORY, Sharing
from harness.engine.wire import Ready, Report, Request, StopSegment, decode_report, encode_request
from harness.errors import EngineError
from harness.gpus import Gpu, driver_problem, gpus, visible_gpus
from harness.machine import usable_cores
from harness.paths import StudyPaths, make_folder
from harness.records import Answer, Question, Segment, SegmentEnded, SegmentFailed, TrainingEnded

CLOSE_SECONDS = 5.0
MEMORY_CHECK_SECONDS = 0.5
"""How often the workers' memory is looked at."""
LOG_TAIL_LINES = 12
WORKER_MODULE = "harness.engine.worker"


@dataclass(slots=True)
class _Process:
    process: subprocess.Popen[str]
    reports: int
    """File descriptor of the worker's reports."""
    partial: bytes = b""
    log: IO[str] | None = field(default=None)
    said_before: int = 0
    """Bytes of the log that earlier processes of this worker have written."""
    settled: int | None = None
    """Bytes of its own that the worker held after its first segment; None before."""


class LocalEngine:
    """Up to `workers` processes that share the machine's cores evenly; GPUs are dealt out in turn."""

    def __init__(
        self,
        paths: StudyPaths,
        workers: int,
        devices: Sequence[Gpu] | None = None,
        memory: WorkerMemory | None = None,
        threads: int | None = None,
        first: int = 0,
        at_first: int | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Start nothing yet.

        Args:
            paths: of the study, for the workers' logs.
            workers: processes.
            devices: GPUs that they share; None: all that may be used.
            memory: what each may use; None: its share of the machine.
            threads: that compute one operation in each; None: its share of the cores.
            first: the number of the first worker.
            at_first: how many start before it is known what they need of a GPU's memory; None: all of them.
            note: told what a person should know of the GPUs.
        """
        self._threads = threads or threads_of(workers)
        self._looked = 0.0
        self._paths = paths
        self._workers = workers
        devices = gpus() if devices is None else devices
        self._sharing = Sharing(devices, range(first, first + workers), at_first, note)
        self._memory = memory or worker_memory(workers, len(devices))
        self._processes: dict[int, _Process] = {}
        self._selector = selectors.DefaultSelector()

    @property
    def workers(self) -> int:
        """How many processes there are."""
        return self._workers

    def start(self) -> None:
        """Start the processes; they import TensorFlow side by side."""
        make_folder(self._paths.workers)
        for worker in self._sharing.first():
            self._launch(worker)

    def submit(self, worker: int, segment: Segment) -> None:
        """Send the segment down the worker's input."""
        self._sharing.given(worker)
        self._send(worker, segment)

    def ask(self, worker: int, question: Question) -> None:
        """Send the question down the worker's input."""
        self._sharing.given(worker)
        self._send(worker, question)

    def stop_segment(self, worker: int) -> None:
        """Ask the worker to end its segment at the next pulse."""
        self._send(worker, StopSegment())

    def poll(self, timeout: float) -> list[EngineEvent]:
        """Read what the workers wrote; a closed pipe means that the worker is gone."""
        if not self._selector.get_map():
            time.sleep(timeout)
        events = [
            event
            for key, _ in self._selector.select(timeout)
            for event in self._read(key.data)
        ]  # fmt: skip
        return events + self._too_large()

    def has_grown(self, worker: int) -> bool:
        """Whether the worker uses much memory, and much more than after its first segment.

        What it needs from the beginning, a fresh one would need as well. Where more workers share a GPU than
        have room there, each has grown too large.
        """
        running = self._processes.get(worker)
        if running is None:
            return False
        try:
            used = own_memory(running.process.pid)
        except psutil.Error:
            return False
        if running.settled is None:
            running.settled = used
        return self._sharing.is_crowded(worker) or used > max(self._memory.recycle, GROWTH * running.settled)

    def cpu_seconds(self, worker: int) -> float:
        """The processor time that the worker's process has used, with the processes that it has ended."""
        running = self._processes.get(worker)
        try:
            return sum(psutil.Process(running.process.pid).cpu_times()[:4]) if running else 0.0
        except psutil.Error:
            return 0.0

    def restart(self, worker: int) -> None:
        """Kill what is left of the worker and start another, unless its GPU has no room for one any more."""
        self._end(worker, wait=0)
        if self._sharing.may_start(worker):
            self._launch(worker)

    def close(self) -> None:
        """Close every worker's input, which ends it; kill what has not gone after a few seconds."""
        deadline = time.monotonic() + CLOSE_SECONDS
        for running in self._processes.values():
            with contextlib.suppress(OSError):
                assert running.process.stdin is not None
                running.process.stdin.close()
        for worker in list(self._processes):
            self._end(worker, wait=max(0.0, deadline - time.monotonic()))

    def _launch(self, worker: int) -> None:
        read_end, write_end = os.pipe()
        log = self._paths.worker_log(worker).open("a", encoding="utf-8")
        gpu = self._sharing.gpu_of(worker)
        on_gpu = [] if self._memory.device_data is None else [f"--device-data={self._memory.device_data}"]
        command = [sys.executable, *SAFE_PATH, "-m", WORKER_MODULE]
        try:
            process = subprocess.Popen(
                [
                    *command,
                    f"--study={self._paths.folder}",
                    f"--worker={worker}",
                    f"--reports={write_end}",
                    f"--threads={self._threads}",
                    f"--programs-memory={self._memory.programs}",
                    f"--data-memory={self._memory.data}",
                    *on_gpu,
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(write_end,),
                env=worker_environment(worker, self._threads, [gpu.name] if gpu else []),
                # A ctrl-C in the terminal is the coordinator's to answer.
                start_new_session=True,
                text=True,
            )
        except OSError as error:
            os.close(read_end)
            raise EngineError(f"A worker process could not be started: {error}.") from error
        finally:
            os.close(write_end)
        os.set_blocking(read_end, False)
        self._processes[worker] = _Process(process, read_end, log=log, said_before=log.tell())
        self._sharing.started(worker)
        self._selector.register(read_end, selectors.EVENT_READ, worker)

    def _send(self, worker: int, request: Request) -> None:
        # A worker that has just died is noticed by the next poll; the message is not lost with it,
        # because the coordinator then submits the segment again.
        with contextlib.suppress(BrokenPipeError):
            stdin = self._processes[worker].process.stdin
            assert stdin is not None
            stdin.write(encode_request(request))
            stdin.flush()

    def _read(self, worker: int) -> list[EngineEvent]:
        running = self._processes[worker]
        try:
            chunk = os.read(running.reports, 1 << 20)
        except BlockingIOError:
            return []
        if not chunk:
            code = self._end(worker, wait=1.0)
            return [self._lost(worker, code, running.said_before)]
        *lines, running.partial = (running.partial + chunk).split(b"\n")
        return [self._taken_in(told_by(worker, decode_report(line))) for line in lines]

    def _taken_in(self, event: EngineEvent) -> EngineEvent:
        """What a worker says, after it was looked at for what it says of its GPU's memory."""
        match event:
            case Reported(worker, TrainingEnded(device_bytes=int(peak))):
                for other in self._sharing.measured(peak):
                    self._launch(other)
            case Reported(worker, SegmentEnded(device=device)):
                self._sharing.trained(worker, on_gpu=device is not None)
            case Reported(worker, SegmentFailed(failure="out_of_memory") as failed):
                return Reported(worker, replace(failed, shared=self._sharing.ran_out(worker)))
        return event

    def _lost(self, worker: int, code: int | None, said_before: int) -> WorkerLost:
        """A worker has ended by itself."""
        words = self._last_words(worker, code)
        log = self._paths.worker_log(worker).read_bytes()[said_before:].decode("utf-8", "replace")
        tail = "\n".join(log.splitlines()[-LOG_TAIL_LINES:])
        if self._sharing.gpu_of(worker) is None or not any(said in tail for said in OUT_OF_MEMORY):
            return WorkerLost(worker, words)
        return WorkerLost(worker, words, "out_of_memory", self._sharing.ran_out(worker))

    def _too_large(self) -> list[EngineEvent]:
        """Kill workers that use more memory than they may."""
        if self._memory.limit is None or time.monotonic() - self._looked < MEMORY_CHECK_SECONDS:
            return []
        self._looked = time.monotonic()
        lost: list[EngineEvent] = []
        for worker, running in list(self._processes.items()):
            with contextlib.suppress(psutil.Error):
                if own_memory(running.process.pid) > self._memory.limit:
                    self._end(worker, wait=0)
                    limit = f"{self._memory.limit / GIB:g} GiB"
                    reason = f"Worker {worker} used more than the {limit} of search.worker_memory."
                    lost.append(WorkerLost(worker, reason, "out_of_memory"))
        return lost

    def _end(self, worker: int, wait: float) -> int | None:
        running = self._processes.pop(worker, None)
        if running is None:
            return None
        self._sharing.ended(worker)
        self._selector.unregister(running.reports)
        os.close(running.reports)
        try:
            code = running.process.wait(wait)
        except subprocess.TimeoutExpired:
            running.process.kill()
            code = running.process.wait()
        if running.process.stdin is not None:
            with contextlib.suppress(OSError):
                running.process.stdin.close()
        if running.log is not None:
            running.log.close()
        return code

    def _last_words(self, worker: int, code: int | None) -> str:
        log = self._paths.worker_log(worker)
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
        how = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit status {code}"
        said = "\n".join(["", *tail]) if tail else " It printed nothing."
        return f"Worker {worker} ended with {how}. The end of {log}:{said}"


def told_by(worker: int, report: Report) -> EngineEvent:
    """What a worker's report means to whoever polls."""
    if isinstance(report, Ready):
        return WorkerReady(worker)
    if isinstance(report, Answer):
        return Answered(worker, report)
    return Reported(worker, report)


def threads_of(workers: int) -> int:
    """Threads that each of so many workers has for an operation: its share of the cores."""
    return max(1, usable_cores() // workers)


def default_workers(trials: int) -> int:
    """One worker per GPU if there are any, else one per core, but never more than trials."""
    return max(1, min(trials, len(visible_gpus()) or usable_cores()))


def workers_of(paths: StudyPaths) -> list[int]:
    """Process ids of this machine's workers of a study, whoever started them."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or []
        if WORKER_MODULE in arguments and f"--study={paths.folder}" in arguments:
            found.append(process.pid)
    return found


def _build(settings: EngineSettings) -> LocalEngine:
    if settings.address is not None:
        raise EngineError("The local engine uses this machine; an address belongs to --engine ray.")
    devices = gpus(again=True)
    if not devices and (problem := driver_problem()):
        settings.note(f"{problem} Workers compute on the processor.")
    memory = worker_memory(settings.workers, len(devices), settings.worker_memory, settings.data_memory)
    return LocalEngine(
        settings.study,
        settings.workers,
        devices,
        memory,
        settings.threads,
        at_first=settings.at_first,
        note=settings.note,
    )


KIND = EngineKind(
    about="Processes on this machine that share its cores evenly; its GPUs are dealt out in turn.",
    build=_build,
    default_workers=default_workers,
    processes=workers_of,
)
