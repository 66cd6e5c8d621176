"""An engine whose workers are threads of this process and whose messages are queued, never text."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field

from harness.engine.protocol import Answered, EngineEvent, Reported, WorkerReady
from harness.engine.serving import serve
from harness.engine.trainer import keras_trainer
from harness.engine.wire import Ready, Report, Request, StopSegment
from harness.records import Answer, Question, Segment


@dataclass(slots=True)
class Worker:
    """One thread, and what it is sent."""

    requests: queue.Queue[Request | None] = field(default_factory=queue.Queue)
    thread: threading.Thread | None = None


class ThreadEngine:
    """`workers` threads that share this process's TensorFlow."""

    def __init__(self, workers: int) -> None:
        self._workers = {number: Worker() for number in range(workers)}
        self._events: queue.Queue[EngineEvent] = queue.Queue()

    @property
    def workers(self) -> int:
        return len(self._workers)

    def start(self) -> None:
        for number in self._workers:
            self._launch(number)

    def submit(self, worker: int, segment: Segment) -> None:
        self._workers[worker].requests.put(segment)

    def ask(self, worker: int, question: Question) -> None:
        self._workers[worker].requests.put(question)

    def stop_segment(self, worker: int) -> None:
        self._workers[worker].requests.put(StopSegment())

    def poll(self, timeout: float) -> list[EngineEvent]:
        try:
            events = [self._events.get(timeout=timeout)]
        except queue.Empty:
            return []
        while not self._events.empty():
            events.append(self._events.get())
        return events

    def has_grown(self, worker: int) -> bool:
        return False

    def cpu_seconds(self, worker: int) -> float:
        return 0.0

    def restart(self, worker: int) -> None:
        self._end(worker)
        self._workers[worker] = Worker()
        self._launch(worker)

    def close(self) -> None:
        for worker in self._workers:
            self._end(worker)

    def _launch(self, number: int) -> None:
        worker = self._workers[number]

        def send(report: Report) -> None:
            if isinstance(report, Ready):
                self._events.put(WorkerReady(number))
            elif isinstance(report, Answer):
                self._events.put(Answered(number, report))
            else:
                self._events.put(Reported(number, report))

        worker.thread = threading.Thread(target=serve, args=(worker.requests.get, send, keras_trainer))
        worker.thread.start()

    def _end(self, number: int) -> None:
        worker = self._workers[number]
        worker.requests.put(None)
        if worker.thread is not None:
            worker.thread.join()
