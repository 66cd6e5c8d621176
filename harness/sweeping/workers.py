"""Who is idle, who trains or writes what, who has been silent for too long: one record for each worker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.engine.protocol import Answered, Engine, EngineEvent, Reported, WorkerLost, WorkerReady
from harness.errors import EngineError
from harness.records import Answer, Pulse, Question, Segment
from harness.sweeping import silence
from harness.sweeping.silence import EpochTimes

POLL_SECONDS = 0.25
Heard: TypeAlias = WorkerReady | WorkerLost | Reported
"""What the coordinator hears of workers."""
LOOK_SECONDS = 0.25
"""Seconds of listening after which silence is looked for again, since that is a look at every worker."""
START_FAILURES = 3
"""Workers that may die before their first segment, in a row, before the sweep gives up."""


@dataclass(slots=True)
class Worker:
    """One worker."""

    number: int
    idle: bool = False
    """Whether the worker waits for a segment."""
    training: Segment | None = None
    writing: list[Segment] = field(default_factory=list)
    """Segments whose training is over, but whose last file is not durable yet."""
    outgrown: bool = False
    """Whether the worker is to be replaced when its last file is durable."""
    pulsing: bool = False
    """Whether it has told a pulse of the segment that it trains, and so will tell others soon."""
    heard: float = 0.0
    """When it last said something or was given a segment, in seconds spent listening."""
    watched: tuple[float, float] | None = None
    """Since when it is watched for being silent, and its processor seconds by then."""

    @property
    def busy(self) -> bool:
        """Whether the worker trains or writes."""
        return self.training is not None or bool(self.writing)

    @property
    def segments(self) -> list[Segment]:
        """The segments that the worker trains or writes."""
        return [*([self.training] if self.training else []), *self.writing]


class Workers:
    """The workers of an engine that has been started."""

    def __init__(self, engine: Engine, hang_seconds: float | None) -> None:
        """Begin without any worker.

        Args:
            engine: what carries segments to them.
            hang_seconds: how long one may say nothing, whatever it does; None: as `sweeping.silence` has it.
        """
        self._engine = engine
        self._hang_seconds = hang_seconds
        self._workers = {number: Worker(number) for number in range(engine.workers)}
        self._listened = 0.0
        """Seconds spent listening: while the event log's disk is full, nobody hears the workers."""
        self._start_failures = 0
        self._heard: list[Heard] = []
        """What was reported while an answer was waited for."""
        self._idle: set[int] = set()
        self._busy: set[int] = set()
        self._present: set[int] = set()
        """Who is idle or busy."""
        self._trials: Counter[int] = Counter()
        """How many segments of each trial are trained or written."""
        self._looked = 0.0
        """When silence was last looked for, in seconds spent listening."""
        self._outgoing: list[tuple[int, Segment]] = []
        """Segments that workers have been given, but not been sent."""
        self.before_sending: Callable[[], None] = lambda: None
        """Called before segments go out: makes durable what they follow from."""
        self.epoch_times = EpochTimes()

    @property
    def number(self) -> int:
        """How many workers the engine has."""
        return len(self._workers)

    @property
    def present(self) -> int:
        """How many are there now, idle or at work, at least one; others start, or wait for a machine."""
        return max(1, len(self._present))

    @property
    def idle(self) -> list[int]:
        """The numbers of workers that wait for a segment."""
        return sorted(self._idle)

    def is_idle(self, number: int) -> bool:
        """Whether the worker waits for a segment."""
        return number in self._idle

    @property
    def busy(self) -> list[Worker]:
        """The workers that train or write."""
        return [self._workers[number] for number in sorted(self._busy)]

    @property
    def at_rest(self) -> bool:
        """Whether somebody waits for a segment, and nobody has one."""
        return bool(self._idle) and not self._busy

    def has(self, trial: int) -> bool:
        """Whether a segment of the trial is trained or written."""
        return trial in self._trials

    @property
    def segments(self) -> list[Segment]:
        """The segments that are trained or written."""
        return [segment for worker in self._workers.values() for segment in worker.segments]

    def listen(self) -> list[Heard]:
        """Wait for what the engine reports, at most `POLL_SECONDS`, and return it."""
        earlier, self._heard = self._heard, []
        # Nobody waits any more for an answer that comes only now.
        return earlier or [event for event in self._poll() if not isinstance(event, Answered)]

    def ask(
        self, question: Question, seconds: float, unless: Callable[[], bool] = lambda: False
    ) -> Answer | None:
        """Put a question to an idle worker, or to the first that starts, and wait for the answer.

        What others report meanwhile is kept for `listen`.

        Args:
            question: what is to be found out.
            seconds: the longest to wait for a worker, and then for its answer.
            unless: asked again and again; when it turns true, or raises, nobody waits any more.

        Returns:
            The answer; None if there was none in time, if the worker is gone, or if all are at work.

        Raises:
            EngineError: workers cannot be started.
        """
        self.send()  # nobody waits for the answer with them
        deadline = time.monotonic() + seconds
        asked: int | None = None
        answer: Answer | None = None
        while answer is None and time.monotonic() < deadline:
            if unless() or (asked is None and not self._any_may_answer()):
                return None
            if asked is None and self.idle:
                asked, deadline = self.idle[0], time.monotonic() + seconds
                self._engine.ask(asked, question)
            for event in self._poll():
                if isinstance(event, Answered):
                    answer = event.answer
                elif isinstance(event, WorkerReady):
                    self.ready(event.worker)
                elif isinstance(event, WorkerLost):
                    self._gone(event)
                    if event.worker == asked:
                        return None
                else:
                    self._heard.append(event)
        if answer is None and asked is not None:
            said = f"Worker {asked} did not answer within {seconds:.0f} s."
            self._gone(WorkerLost(asked, said, "hang"))
        return answer

    def _any_may_answer(self) -> bool:
        """Whether a worker is idle or starts; who trains is not heard before the question is done with."""
        return any(worker.idle or not worker.busy for worker in self._workers.values())

    def _gone(self, event: WorkerLost) -> None:
        """Give nothing more to a worker that is gone; who listens next takes up what it still wrote."""
        worker = self._workers[event.worker]
        if worker.busy:
            worker.idle = False
            self._enter(worker)
            self._heard.append(event)
        elif event.failure == "hang":
            self.replace(worker)
        else:
            self.lost(event)

    def _poll(self) -> list[EngineEvent]:
        began = time.monotonic()
        heard = self._engine.poll(POLL_SECONDS)
        self._listened += time.monotonic() - began
        return heard

    def silent(self) -> list[WorkerLost]:
        """Busy workers that have said nothing for much longer than they need: they are as good as lost."""
        if self._listened - self._looked < LOOK_SECONDS:
            return []
        self._looked = self._listened
        least = self._hang_seconds or min(
            silence.PULSE_SECONDS, silence.START_SECONDS, silence.FIRST_SECONDS
        )  # nobody's limit is shorter
        lost = []
        for worker in self.busy:
            seconds = self._listened - worker.heard
            if seconds <= least or seconds <= (self._hang_seconds or self._most_silence(worker)):
                worker.watched = None
            elif self._hang_seconds is not None or self._does_nothing(worker):
                said = f"Worker {worker.number} said nothing for {seconds:.0f} s."
                lost.append(WorkerLost(worker.number, said, "hang"))
        return lost

    def _most_silence(self, worker: Worker) -> float:
        """Seconds for which a busy worker may say nothing."""
        if worker.training is not None and worker.pulsing:
            return silence.PULSE_SECONDS
        return self.epoch_times.limit(worker.segments[0])

    def _does_nothing(self, worker: Worker) -> bool:
        """Whether a silent worker has been watched for a while and hardly used a processor."""
        now, used = self._listened, self._engine.cpu_seconds(worker.number)
        if worker.watched is None:
            worker.watched = now, used
        since, used_then = worker.watched
        if now - since < silence.WATCHED_SECONDS:
            return False
        worker.watched = None  # if it is at work, it is watched once more
        return used - used_then < silence.BUSY * (now - since)

    def ready(self, number: int) -> None:
        """The worker has started."""
        self._start_failures = 0
        self._workers[number].idle = True
        self._enter(self._workers[number])

    def _enter(self, worker: Worker) -> None:
        """Enter what a worker does now: with a thousand of them, nobody may ask each one for each event."""
        number, idle, busy = worker.number, worker.idle, worker.busy
        for among, is_so in ((self._idle, idle), (self._busy, busy), (self._present, idle or busy)):
            (among.add if is_so else among.discard)(number)

    def start(self, number: int, segment: Segment) -> None:
        """Hand a segment to an idle worker."""
        self.give(number, segment)
        self.send()

    def give(self, number: int, segment: Segment) -> None:
        """Give a segment to an idle worker, which begins with `send`."""
        worker = self._workers[number]
        worker.idle, worker.training, worker.heard, worker.pulsing = False, segment, self._listened, False
        self._trials[segment.trial] += 1
        self._enter(worker)
        self._outgoing.append((number, segment))

    def send(self) -> None:
        """Let all begin that have been given segments, after what these follow from is durable."""
        self.before_sending()
        outgoing, self._outgoing = self._outgoing, []
        for number, segment in outgoing:
            self._engine.submit(number, segment)

    def meant_by(self, report: Reported) -> tuple[Worker, Segment | None]:
        """Who speaks, and of which segment; None for one that has been given to another worker meanwhile."""
        worker, event = self._workers[report.worker], report.event
        for segment in (worker.training, *worker.writing):
            if segment is None:
                continue
            if (segment.trial, segment.attempt) == (event.trial, event.attempt):
                worker.heard = self._listened
                worker.pulsing = worker.pulsing or isinstance(event, Pulse)
                return worker, segment
        return worker, None

    def trained(self, worker: Worker, segment: Segment) -> None:
        """The worker is free for another segment while the last file of this one is being written."""
        worker.training, worker.idle = None, True
        worker.writing.append(segment)
        self._enter(worker)

    def look_at_size(self, worker: Worker) -> None:
        """Keep a worker that has grown too large from getting another segment."""
        if self._engine.has_grown(worker.number):
            worker.idle, worker.outgrown = False, True
            self._enter(worker)

    def through_with(self, worker: Worker, segment: Segment) -> None:
        """The worker has ended the segment, or failed in it."""
        if worker.training is segment:
            worker.training, worker.idle = None, not worker.outgrown
        worker.writing = [one for one in worker.writing if one is not segment]
        self._ended(segment.trial)
        self._enter(worker)

    def _ended(self, trial: int) -> None:
        self._trials[trial] -= 1
        if not self._trials[trial]:
            del self._trials[trial]

    def stop_all(self) -> None:
        """Ask everybody to end at the next pulse."""
        for worker in self.busy:
            self._engine.stop_segment(worker.number)

    def stop(self, worker: Worker) -> None:
        """Ask one worker to end its segment at the next pulse."""
        self._engine.stop_segment(worker.number)

    def lost(self, event: WorkerLost) -> tuple[Segment | None, list[Segment]]:
        """Put a fresh worker in the place of one that is gone.

        Returns:
            What it trained, and what it was still writing.

        Raises:
            EngineError: workers die again and again before they are given anything.
        """
        worker = self._workers[event.worker]
        if not worker.busy and event.failure != "preempted":
            self._start_failures += 1
            if self._start_failures >= START_FAILURES:
                raise EngineError(f"Workers cannot be started. {event.reason}")
        training, writing = worker.training, worker.writing
        self.replace(worker)
        return training, writing

    def replace(self, worker: Worker) -> None:
        """Start a fresh worker in the place of this one, which forgets all that it had."""
        self._engine.restart(worker.number)
        worker.outgrown = False  # whoever still holds the record must not replace it once more
        for segment in worker.segments:
            self._ended(segment.trial)
        self._workers[worker.number] = Worker(worker.number)
        self._enter(self._workers[worker.number])
