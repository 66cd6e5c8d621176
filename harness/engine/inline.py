"""An engine without processes: segments run in this process, one at a time, when polled.

It is for tests and for debugging, and imports TensorFlow into the caller, so it is not registered.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.engine.protocol import Answered, EngineEvent, Reported, WorkerReady
from harness.engine.trainer import keras_trainer
from harness.model.keras_setup import import_keras
from harness.records import Question, Segment, WorkerEvent

Run = Callable[[Segment, Callable[[WorkerEvent], None], Callable[[], bool]], None]


class InlineEngine:
    """`workers` slots that take turns; `run(segment, observe, should_stop)` trains, by default for real."""

    def __init__(self, workers: int = 1, run: Run | None = None) -> None:
        self._workers = workers
        self._run = run or _trainer()
        self._waiting: list[tuple[int, Segment]] = []
        self._stopping: set[int] = set()
        self._events: list[EngineEvent] = []

    @property
    def workers(self) -> int:
        """How many slots there are."""
        return self._workers

    def start(self) -> None:
        """Every slot is ready at once."""
        self._events += [WorkerReady(worker) for worker in range(self._workers)]

    def submit(self, worker: int, segment: Segment) -> None:
        """Queue the segment for the next poll."""
        self._stopping.discard(worker)
        self._waiting.append((worker, segment))

    def ask(self, worker: int, question: Question) -> None:
        """Answer at once; the next poll says it."""
        from harness.train.questions import answer

        self._events.append(Answered(worker, answer(question)))

    def stop_segment(self, worker: int) -> None:
        """The slot's segment will end as soon as it has begun."""
        self._stopping.add(worker)

    def poll(self, timeout: float) -> list[EngineEvent]:
        """Run the oldest waiting segment to its end; never waits."""
        if not self._events and self._waiting:
            worker, segment = self._waiting.pop(0)
            self._run(
                segment,
                lambda event: self._events.append(Reported(worker, event)),
                lambda: worker in self._stopping,
            )
        events, self._events = self._events, []
        return events

    def has_grown(self, worker: int) -> bool:
        """A slot never grows: there is no process to replace."""
        return False

    def cpu_seconds(self, worker: int) -> float:
        """A slot uses no processor time of its own: whatever it does is done within `poll`."""
        return 0.0

    def restart(self, worker: int) -> None:
        """The slot drops what it had and is ready again."""
        self._waiting = [(owner, segment) for owner, segment in self._waiting if owner != worker]
        self._events.append(WorkerReady(worker))

    def close(self) -> None:
        """Drop the segments that have not run."""
        self._waiting.clear()


def _trainer() -> Run:
    import_keras()
    trainer = keras_trainer()

    def run(
        segment: Segment, observe: Callable[[WorkerEvent], None], should_stop: Callable[[], bool]
    ) -> None:
        try:
            trainer.run(segment, observe, should_stop).result()
        except Exception as error:  # noqa: BLE001 - whatever a trial raises is an outcome of the trial
            observe(trainer.describe(segment, error))

    return run
