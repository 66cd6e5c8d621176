"""Who is idle, who trains and who writes, and who has been silent for too long."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness.engine.protocol import Answered, EngineEvent, Reported, WorkerLost, WorkerReady
from harness.errors import EngineError
from harness.experiment.parameters import complete
from harness.records import Answer, EpochEnded, Pulse, Question, Segment
from harness.sweeping import silence
from harness.sweeping import workers as module
from harness.sweeping.workers import START_FAILURES, Workers
from tests.studies import DATASET


@dataclass
class ScriptedEngine:
    """An engine whose workers do what the test says; listening takes as long as the test says."""

    workers: int = 2
    heard: list[EngineEvent] = field(default_factory=list)
    coming: list[list[EngineEvent]] = field(default_factory=list)
    """What the next polls report, before `heard`."""
    submitted: list[tuple[int, Segment]] = field(default_factory=list)
    asked_to_stop: list[int] = field(default_factory=list)
    asked: list[tuple[int, Question]] = field(default_factory=list)
    restarted: list[int] = field(default_factory=list)
    grown: set[int] = field(default_factory=set)
    used: dict[int, float] = field(default_factory=dict)
    """Processor seconds by worker."""
    clock: float = 0.0
    listening: float = 0.0
    """Seconds that the next poll takes."""

    def start(self) -> None:
        """They are ready when the test says so."""

    def submit(self, worker: int, segment: Segment) -> None:
        self.submitted.append((worker, segment))

    def ask(self, worker: int, question: Question) -> None:
        self.asked.append((worker, question))

    def stop_segment(self, worker: int) -> None:
        self.asked_to_stop.append(worker)

    def poll(self, timeout: float) -> list[EngineEvent]:
        self.clock += self.listening
        if self.coming:
            return self.coming.pop(0)
        heard, self.heard = self.heard, []
        return heard

    def has_grown(self, worker: int) -> bool:
        return worker in self.grown

    def cpu_seconds(self, worker: int) -> float:
        return self.used.get(worker, 0.0)

    def restart(self, worker: int) -> None:
        self.restarted.append(worker)

    def close(self) -> None:
        """There is nothing to close."""

    def monotonic(self) -> float:
        """The clock that the test turns."""
        return self.clock


def segment(trial: int, attempt: int = 1) -> Segment:
    return Segment(
        study_folder="s", trial=trial, attempt=attempt, params=complete({"depth": 1, "width": 8}), seed=0,
        start=0, stop=1, max_epochs=1, dataset=DATASET,
    )  # fmt: skip


def report(worker: int, trial: int, attempt: int = 1) -> Reported:
    return Reported(worker, EpochEnded(trial=trial, attempt=attempt, epoch=1, metrics={}, time=0))


def pulse(trial: int) -> Pulse:
    return Pulse(trial=trial, attempt=1, epoch=1, phase="training", share=0.5, seconds=1.0, time=0)


def started(engine: ScriptedEngine, *trials: int, hang_seconds: float | None = None) -> Workers:
    """All are ready, and the first ones train these trials."""
    found = Workers(engine, hang_seconds)
    for number in range(engine.workers):
        found.ready(number)
    for number, trial in enumerate(trials):
        found.start(number, segment(trial))
    return found


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    made = ScriptedEngine()
    monkeypatch.setattr(module, "time", made)  # what the workers ask for the time
    return made


def wait(engine: ScriptedEngine, workers: Workers, seconds: float) -> list[WorkerLost]:
    """Listen for so long to workers that say nothing; who counts as lost."""
    engine.listening = seconds
    assert workers.listen() == []
    return workers.silent()


def test_nobody_is_idle_before_it_is_ready(engine: ScriptedEngine) -> None:
    workers = Workers(engine, None)
    assert (workers.idle, workers.busy) == ([], [])
    workers.ready(1)
    assert workers.idle == [1]


def test_a_worker_trains_writes_and_is_through(engine: ScriptedEngine) -> None:
    workers = started(engine, 5)
    assert engine.submitted == [(0, segment(5))]
    assert workers.idle == [1]
    assert [worker.number for worker in workers.busy] == [0]
    worker, found = workers.meant_by(report(0, 5))
    assert found == segment(5)
    workers.trained(worker, segment(5))
    assert workers.idle == [0, 1], "it is free for another segment"
    assert workers.segments == [segment(5)], "but the last file is still written"
    workers.start(0, segment(6))
    assert workers.segments == [segment(6), segment(5)]
    _, written = workers.meant_by(report(0, 5))
    assert written == segment(5)
    assert written is not None
    workers.through_with(worker, worker.writing[0])
    assert workers.segments == [segment(6)]
    assert worker.training is not None
    workers.through_with(worker, worker.training)
    assert workers.idle == [0, 1]
    assert workers.busy == []


def test_a_question_goes_to_the_first_worker_that_starts_and_other_news_waits(engine: ScriptedEngine) -> None:
    workers = Workers(engine, None)
    question, found = Question(name="size"), Answer(question="size", found={"parameters": 3.0})
    engine.coming = [[WorkerReady(1)], [report(0, 5), Answered(1, found)]]
    assert workers.ask(question, seconds=9.0) == found
    assert engine.asked == [(1, question)]
    assert workers.idle == [1]
    assert workers.listen() == [report(0, 5)]


def test_a_worker_that_does_not_answer_in_time_or_dies_is_replaced(engine: ScriptedEngine) -> None:
    workers = started(engine)
    engine.listening = 1.0
    assert workers.ask(Question(name="size"), seconds=3.0) is None
    assert engine.restarted == [0]
    workers.ready(0)
    engine.coming = [[WorkerLost(0, "It is gone.")]]
    assert workers.ask(Question(name="size"), seconds=3.0) is None
    assert engine.restarted == [0, 0]
    engine.heard = [Answered(1, Answer(question="size"))]
    assert workers.listen() == [], "nobody waits for a late answer"


@pytest.mark.parametrize("dies", [True, False])
def test_what_a_worker_still_writes_is_not_lost_with_an_unanswered_question(
    engine: ScriptedEngine, dies: bool
) -> None:
    workers = started(engine, 5, 6)
    workers.trained(workers.busy[0], segment(5))
    engine.coming = [[WorkerLost(0, "It is gone.")]] if dies else []
    engine.listening = 1.0
    assert workers.ask(Question(name="cost"), seconds=3.0) is None
    assert workers.idle == [], "nothing is given to a worker that is gone"
    (lost,) = workers.listen()
    assert isinstance(lost, WorkerLost)
    assert workers.lost(lost) == (None, [segment(5)])
    assert engine.restarted == [0]


def test_a_worker_that_has_told_a_pulse_is_missed_soon(engine: ScriptedEngine) -> None:
    workers = started(engine, 5, 6)
    workers.meant_by(Reported(0, pulse(5)))
    assert wait(engine, workers, silence.PULSE_SECONDS + 1) == []
    lost = wait(engine, workers, silence.WATCHED_SECONDS)
    assert [one.worker for one in lost] == [0], "the other one may still be compiling"


def test_a_pulse_of_the_segment_before_says_nothing_of_the_next(engine: ScriptedEngine) -> None:
    workers = started(engine, 5)
    worker, found = workers.meant_by(Reported(0, pulse(5)))
    assert found is not None
    workers.through_with(worker, found)
    workers.start(0, segment(7))
    for _ in range(3):
        assert wait(engine, workers, silence.PULSE_SECONDS + silence.WATCHED_SECONDS) == []


def test_nobody_waits_for_an_answer_when_the_sweep_is_to_stop(engine: ScriptedEngine) -> None:
    workers = started(engine)
    assert workers.ask(Question(name="size"), seconds=9.0, unless=lambda: bool(engine.asked)) is None
    assert len(engine.asked) == 1
    assert engine.restarted == []


def test_a_late_word_about_another_workers_segment_means_nothing(engine: ScriptedEngine) -> None:
    workers = started(engine, 5, 6)
    assert workers.meant_by(report(0, 6))[1] is None
    assert workers.meant_by(report(0, 5, attempt=2))[1] is None
    assert workers.meant_by(report(1, 6))[1] == segment(6)


def test_everybody_or_one_is_asked_to_stop_but_nobody_who_has_nothing_to_do(engine: ScriptedEngine) -> None:
    engine.workers = 3
    workers = started(engine, 5, 6)
    workers.stop_all()
    assert engine.asked_to_stop == [0, 1]
    workers.stop(workers.busy[1])
    assert engine.asked_to_stop == [0, 1, 1]


def test_a_worker_that_has_grown_gets_nothing_more(engine: ScriptedEngine) -> None:
    workers = started(engine, 5, 6)
    engine.grown = {0}
    for worker in list(workers.busy):
        trained = worker.training
        assert trained is not None
        workers.trained(worker, trained)
        workers.look_at_size(worker)
    assert workers.idle == [1]
    grown = workers.busy[0]
    workers.through_with(grown, grown.writing[0])
    assert workers.idle == [1]
    assert grown.outgrown
    # One that is given nothing before its last file is written ends its segment while it still trains.
    workers.start(1, segment(7))
    engine.grown = {0, 1}
    other = workers.meant_by(report(1, 7))[0]
    workers.look_at_size(other)
    assert other.training is not None
    workers.through_with(other, other.training)
    assert workers.idle == []
    engine.grown = set()
    workers.replace(grown)
    assert engine.restarted == [0]
    workers.ready(0)
    assert workers.idle == [0]


def test_a_lost_workers_segments_are_told_and_a_fresh_one_takes_its_place(engine: ScriptedEngine) -> None:
    workers = started(engine, 5)
    worker = workers.busy[0]
    workers.trained(worker, segment(5))
    workers.start(0, segment(6))
    assert workers.lost(WorkerLost(0, "it was killed")) == (segment(6), [segment(5)])
    assert engine.restarted == [0]
    assert workers.segments == []
    assert workers.idle == [1], "the fresh one is not ready yet"


def test_workers_that_die_before_they_are_given_anything_end_the_sweep(engine: ScriptedEngine) -> None:
    workers = Workers(engine, None)
    for _ in range(START_FAILURES - 1):
        assert workers.lost(WorkerLost(0, "It ended.")) == (None, [])
    workers.ready(0)  # one that starts: the others begin to count anew
    for _ in range(START_FAILURES - 1):
        workers.lost(WorkerLost(1, "It ended."))
    with pytest.raises(EngineError, match=r"Workers cannot be started\. It ended\."):
        workers.lost(WorkerLost(1, "It ended."))


def test_a_machine_that_is_taken_away_while_workers_start_ends_nothing(engine: ScriptedEngine) -> None:
    workers = Workers(engine, None)
    assert workers.present == 1, "at least one is counted on"
    for _ in range(3 * START_FAILURES):
        assert workers.lost(WorkerLost(0, "The node is gone.", "preempted")) == (None, [])
    for number in range(engine.workers):
        workers.ready(number)
    assert workers.present == engine.workers
    workers.start(0, segment(5))
    assert workers.present == engine.workers
    workers.lost(WorkerLost(0, "The node is gone.", "preempted"))
    assert workers.present == max(1, engine.workers - 1)


def test_the_loss_of_a_worker_at_work_does_not_count_as_a_failed_start(engine: ScriptedEngine) -> None:
    workers = started(engine)
    for _ in range(START_FAILURES + 1):
        workers.start(0, segment(5))
        assert workers.lost(WorkerLost(0, "killed"))[0] == segment(5)
        workers.ready(0)


def test_with_a_limit_of_its_own_whoever_is_silent_longer_is_lost(engine: ScriptedEngine) -> None:
    workers = started(engine, 5, hang_seconds=10.0)
    engine.used = {0: 1e9}  # however hard it works
    assert wait(engine, workers, 10.0) == []
    assert wait(engine, workers, 0.5) == [WorkerLost(0, "Worker 0 said nothing for 10 s.", "hang")]
    worker, _ = workers.meant_by(report(0, 5))
    assert workers.silent() == [], "it has spoken"
    assert worker.heard == 10.5


def test_only_time_spent_listening_counts(engine: ScriptedEngine) -> None:
    """While the event log waits for room on its disk, nobody hears what workers say."""
    workers = started(engine, 5, hang_seconds=10.0)
    engine.clock += 1000.0
    assert wait(engine, workers, 1.0) == []


def test_who_has_nothing_to_do_may_be_silent_for_ever(engine: ScriptedEngine) -> None:
    workers = started(engine, hang_seconds=1.0)
    assert wait(engine, workers, 1e6) == []
    workers.start(0, segment(5))
    assert workers.silent() == [], "its time begins with its segment"


def test_without_a_limit_of_its_own_a_silent_worker_is_watched_and_lost_if_it_does_nothing(
    engine: ScriptedEngine,
) -> None:
    workers = started(engine, 5, 6)
    engine.used = {0: 7.0, 1: 7.0}
    limit = workers.epoch_times.limit(segment(5))
    assert wait(engine, workers, limit) == []
    assert wait(engine, workers, 1.0) == [], "now it is watched"
    engine.used[1] += silence.WATCHED_SECONDS
    lost = wait(engine, workers, silence.WATCHED_SECONDS)
    assert [(one.worker, one.failure) for one in lost] == [(0, "hang")]
    assert wait(engine, workers, 1.0) == [], "whoever was at work is watched anew"
    lost = wait(engine, workers, silence.WATCHED_SECONDS)
    assert {one.worker for one in lost} == {0, 1}


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order, every segment is with one worker or has been given back."""

    @initialize(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        self.engine = ScriptedEngine(workers=count)
        self.workers = Workers(self.engine, None)
        self.out: dict[int, tuple[int, bool]] = {}
        """Worker and whether it is only written, by trial."""
        self.trial = 0
        self.ready_ones: set[int] = set()

    @rule(data=st.data())
    def becomes_ready(self, data: Any) -> None:
        starting = [one for one in range(self.engine.workers) if one not in self.ready_ones]
        if starting:
            number = data.draw(st.sampled_from(starting))
            self.ready_ones.add(number)
            self.workers.ready(number)

    @precondition(lambda self: self.workers.idle)
    @rule(data=st.data())
    def is_given_a_segment(self, data: Any) -> None:
        number = data.draw(st.sampled_from(self.workers.idle))
        self.workers.start(number, replace(segment(self.trial)))
        self.out[self.trial] = (number, False)
        self.trial += 1

    @precondition(lambda self: any(not writing for _, writing in self.out.values()))
    @rule(data=st.data(), grows=st.booleans())
    def ends_training(self, data: Any, grows: bool) -> None:
        trial = data.draw(st.sampled_from([one for one, (_, writing) in self.out.items() if not writing]))
        number = self.out[trial][0]
        worker, found = self.workers.meant_by(report(number, trial))
        assert found is not None
        self.workers.trained(worker, found)
        self.out[trial] = (number, True)
        if grows:
            self.engine.grown.add(number)
        self.workers.look_at_size(worker)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def is_through(self, data: Any) -> None:
        trial = data.draw(st.sampled_from(sorted(self.out)))
        worker, found = self.workers.meant_by(report(self.out[trial][0], trial))
        assert found is not None
        self.workers.through_with(worker, found)
        del self.out[trial]

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def is_lost(self, data: Any) -> None:
        number = data.draw(st.sampled_from(sorted({worker for worker, _ in self.out.values()})))
        training, writing = self.workers.lost(WorkerLost(number, "gone"))
        given_back = {one.trial for one in [*([training] if training else []), *writing]}
        assert given_back == {trial for trial, (worker, _) in self.out.items() if worker == number}
        self.out = {trial: where for trial, where in self.out.items() if where[0] != number}
        self.ready_ones.discard(number)
        self.engine.grown.discard(number)

    @invariant()
    def all_segments_are_known(self) -> None:
        if hasattr(self, "out"):
            assert sorted(one.trial for one in self.workers.segments) == sorted(self.out)
            busy = {worker for worker, _ in self.out.values()}
            assert {worker.number for worker in self.workers.busy} == busy

    @invariant()
    def nobody_gets_two(self) -> None:
        if hasattr(self, "out"):
            training = [worker for worker, writing in self.out.values() if not writing]
            assert len(training) == len(set(training))
            assert not set(training) & set(self.workers.idle)
            assert set(self.workers.idle) <= self.ready_ones - self.engine.grown


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
