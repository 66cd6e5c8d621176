"""The coordinator on an inline engine with a simulated trainer: who trains how far, and what is told."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.engine.inline import InlineEngine
from harness.engine.protocol import Answered, EngineEvent, Reported, WorkerLost, WorkerReady
from harness.experiment.parameters import complete
from harness.experiment.space import configurations
from harness.experiment.space_file import parse_space
from harness.records import (
    Answer,
    Checkpoint,
    CheckpointSaved,
    EpochEnded,
    LogRecord,
    Params,
    Question,
    Segment,
    SegmentEnded,
    SegmentFailed,
    SegmentStarted,
    StudyEnded,
    TrainingEnded,
    TrialEnded,
    WorkerEvent,
)
from harness.schedulers import SCHEDULERS
from harness.schedulers.full import FullTraining
from harness.schedulers.halving import Asha
from harness.schedulers.hyperband import Hyperband
from harness.schedulers.protocol import Scheduler
from harness.study.event_log import EventLog, read
from harness.study.limits import epochs_trained
from harness.study.state import StudyState, best, fold
from harness.study_files import LocalStudyFiles
from harness.sweeping import silence
from harness.sweeping.admission import Admission
from harness.sweeping.asynchronous import AsynchronousPolicy
from harness.sweeping.coordinator import Coordinator
from harness.sweeping.costs_known import NothingKnown
from harness.sweeping.failures import RETRIES
from harness.sweeping.ordered import OrderedPolicy
from harness.sweeping.plan import Stop, SweepPlan
from harness.sweeping.samplers.sampler import Sampler
from harness.sweeping.stopwatch import Stopwatch
from harness.sweeping.workers import Workers
from harness.sweeping.writer import StudyWriter
from tests.studies import DATASET, SPACE, experiment, study_started

Observe = Callable[[WorkerEvent], None]


def simulate(segment: Segment, observe: Observe, should_stop: Callable[[], bool]) -> None:
    """Accuracy grows with epochs towards 1 − dropout; no pixel is touched."""
    epoch, last = segment.start, min(segment.stop, segment.granted or segment.stop)
    while epoch < last:
        epoch += 1
        accuracy = (1 - float(segment.params["dropout"])) * epoch / (epoch + 1)
        observe(
            EpochEnded(
                trial=segment.trial,
                attempt=segment.attempt,
                epoch=epoch,
                metrics={"val_accuracy": accuracy},
                time=epoch,
            )
        )
        if should_stop():
            break
    saved = Checkpoint(file=f"{segment.trial}-{epoch}.ckpt", sha256="0" * 64, epoch=epoch)
    observe(CheckpointSaved(trial=segment.trial, attempt=segment.attempt, checkpoint=saved, time=0))
    observe(
        SegmentEnded(
            trial=segment.trial,
            attempt=segment.attempt,
            epoch=epoch,
            over=epoch == segment.max_epochs,
            seconds=1.0,
            evaluations=[],
            time=0,
        )
    )


def coordinator(
    folder: Path,
    *,
    trials: int = 12,
    epochs: int = 9,
    scheduler: Scheduler | None = None,
    engine: InlineEngine | None = None,
    stop: Stop | None = None,
    window: int = 0,
    on_record: Sequence[Callable[[LogRecord], None]] = (),
    sampler: str = "tpe",
    model: str | None = None,
    space: dict[str, Any] = SPACE,
    admission: Admission | None = None,
    anneals: bool = False,
    **limits: Any,
) -> Coordinator:
    """A coordinator that takes up the study in `folder`; `limits` are keys of the section `search`."""
    folder.mkdir(exist_ok=True)
    searched = experiment(
        model=model, space=space, training={"epochs": epochs}, search={"trials": trials} | limits
    )
    log = EventLog(folder / "events.jsonl")
    state = fold(log.records)
    state.apply(log.append(study_started(searched, session=state.sessions + 1)))
    engine = engine or InlineEngine(2, run=simulate)
    engine.start()
    policy = AsynchronousPolicy(
        Sampler(searched.space, sampler, 0, objectives=searched.objectives),
        scheduler or Asha(1, epochs, 3),
        trials,
        admission or Admission(),
        anneals,
        searched.search.max_trial_seconds or math.inf,
    )
    plan = SweepPlan(experiment=searched, study_folder=folder, dataset=DATASET)
    return Coordinator(
        plan=plan,
        workers=Workers(engine, searched.search.hang_seconds),
        writer=StudyWriter(plan, log, state, on_record),
        policy=OrderedPolicy(policy, window) if window else policy,
        clock=Stopwatch(time.monotonic(), state.earlier_seconds),
        stop=stop or Stop(),
    )


def finish(running: Coordinator) -> StudyEnded:
    try:
        return running.run()
    finally:
        running.writer.log.close()


def ends(records: list[LogRecord]) -> list[TrialEnded]:
    return [record.event for record in records if isinstance(record.event, TrialEnded)]


class Crowded(InlineEngine):
    """All that all workers have to say at once; nothing goes out that follows from what can still be lost."""

    def __init__(self, workers: int, folder: Path) -> None:
        super().__init__(workers, run=simulate)
        self.folder = folder
        self.coordinator: Coordinator | None = None
        self.polls = 0

    def poll(self, timeout: float) -> list[EngineEvent]:
        self.polls += 1
        self.nothing_is_due()
        found: list[EngineEvent] = []
        while events := super().poll(timeout):
            found += events
        for event in found:
            if isinstance(event, Reported) and isinstance(event.event, CheckpointSaved):
                file = self.folder / event.event.checkpoint.file
                file.parent.mkdir(exist_ok=True, parents=True)
                file.touch()
        return found

    def submit(self, worker: int, segment: Segment) -> None:
        self.nothing_is_due()
        super().submit(worker, segment)

    def nothing_is_due(self) -> None:
        if self.coordinator is not None:
            log = self.coordinator.writer.log
            unsafe = read(self.folder / "events.jsonl")[max(1, log.durable) :]
            assert all(isinstance(one.event, EpochEnded | SegmentStarted) for one in unsafe)


def test_one_sync_serves_all_events_of_a_moment_and_comes_before_what_follows_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Crowded(20, tmp_path)
    running = engine.coordinator = coordinator(tmp_path, trials=60, engine=engine)
    commits: list[int] = []
    commit = EventLog.commit

    def counted(log: EventLog) -> None:
        if log.durable < len(log):
            commits.append(len(log))
        commit(log)

    removed: list[str] = []
    remove = LocalStudyFiles.remove

    def after(files: LocalStudyFiles, name: str) -> None:
        assert running.writer.log.durable == len(running.writer.log)
        removed.append(name)
        remove(files, name)

    monkeypatch.setattr(EventLog, "commit", counted)
    monkeypatch.setattr(LocalStudyFiles, "remove", after)
    assert finish(running).complete
    records = read(tmp_path / "events.jsonl")
    durable = [one for one in records if not isinstance(one.event, EpochEnded | SegmentStarted)]
    assert len(commits) <= 2 * engine.polls + 2
    assert len(durable) > 2 * len(commits), "many events were made durable together"
    assert removed, "superseded checkpoints are gone"
    assert fold(records).trials == running.state.trials, "a replay tells the same"


class SlowWriter(InlineEngine):
    """Workers that say at once that training is over, and only some polls later that all is written."""

    def __init__(self, workers: int, delay: int = 5, lose: int | None = None) -> None:
        super().__init__(workers, run=simulate)
        self._delay = delay
        self._lose = lose
        """The trial whose worker dies while it writes, once."""
        self._late: list[tuple[int, list[EngineEvent]]] = []
        self._polls = 0

    def poll(self, timeout: float) -> list[EngineEvent]:
        self._polls += 1
        now: list[EngineEvent] = []
        for event in super().poll(timeout):
            report = getattr(event, "event", None)
            if isinstance(report, CheckpointSaved):
                self._late.append((self._polls + self._delay, [event]))
            elif isinstance(report, SegmentEnded) and isinstance(event, Reported):
                over = TrainingEnded(
                    trial=report.trial, attempt=report.attempt, epoch=report.epoch, over=report.over, time=0
                )
                now.append(Reported(event.worker, over))
                if report.trial == self._lose:
                    self._lose = None
                    self._late.pop()
                    now.append(WorkerLost(event.worker, "it was killed"))
                else:
                    self._late[-1][1].append(event)
            else:
                now.append(event)
        due = [events for when, events in self._late if when <= self._polls]
        self._late = [(when, events) for when, events in self._late if when > self._polls]
        return [*now, *(event for events in due for event in events)]

    def restart(self, worker: int) -> None:
        for _, events in self._late:
            events[:] = [event for event in events if getattr(event, "worker", None) != worker]
        super().restart(worker)


def segments_of(records: list[LogRecord]) -> list[tuple[int, int, int]]:
    return [
        (record.event.trial, record.event.start, record.event.stop)
        for record in records
        if isinstance(record.event, SegmentStarted)
    ]


def test_the_next_segment_is_handed_out_while_the_last_one_is_still_written(tmp_path: Path) -> None:
    running = coordinator(tmp_path, engine=SlowWriter(1), scheduler=FullTraining(9))
    assert finish(running).complete
    kinds = [record.event.kind for record in read(tmp_path / "events.jsonl")]
    first_end = kinds.index("segment_ended")
    assert kinds[:first_end].count("segment_started") > 1
    assert [event.state for event in ends(read(tmp_path / "events.jsonl"))] == ["complete"] * 12


@pytest.mark.parametrize("window", [0, 1])
def test_whoever_is_still_written_goes_on_when_its_checkpoint_is_there(tmp_path: Path, window: int) -> None:
    """Decisions are the same as if nothing took any time, and no epoch is trained twice."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "fast").mkdir()
    slow = coordinator(tmp_path / "slow", engine=SlowWriter(1), window=window)
    fast = coordinator(tmp_path / "fast", engine=InlineEngine(1, run=simulate), window=window)
    assert finish(slow).complete
    assert finish(fast).complete
    told = [segments_of(read(tmp_path / name / "events.jsonl")) for name in ("slow", "fast")]
    assert told[0] == told[1]
    assert any(start > 0 for _, start, _ in told[0])


@pytest.mark.parametrize("window", [0, 2])
def test_a_worker_lost_while_it_writes_costs_another_attempt_and_no_decision(
    tmp_path: Path, window: int
) -> None:
    running = coordinator(tmp_path, engine=SlowWriter(2, lose=3), window=window)
    assert finish(running).complete
    records = read(tmp_path / "events.jsonl")
    assert sorted(event.trial for event in ends(records)) == list(range(12))
    assert [segment for segment in segments_of(records) if segment[0] == 3][:2] == [(3, 0, 1), (3, 0, 1)]


class DiesWhenAsked(SlowWriter):
    """The first two questions take the worker with them; a fresh one says when it is ready."""

    def __init__(self) -> None:
        super().__init__(1)
        self.times = 2
        self.ready: set[int] = set()

    def poll(self, timeout: float) -> list[EngineEvent]:
        events = super().poll(timeout)
        self.ready |= {event.worker for event in events if isinstance(event, WorkerReady)}
        return events

    def ask(self, worker: int, question: Question) -> None:
        if self.times:
            self.times -= 1
            self.ready.discard(worker)
            self._events.append(WorkerLost(worker, "it was killed"))
        else:
            self._events.append(Answered(worker, Answer(question=question.name)))

    def submit(self, worker: int, segment: Segment) -> None:
        assert worker in self.ready
        super().submit(worker, segment)


def test_a_question_that_ends_its_worker_costs_no_trial(tmp_path: Path) -> None:
    """Neither the one that is still written, nor the one whose cost is not known for it."""

    class Asking(NothingKnown):
        def seconds_to(self, params: Params, start: int, stop: int) -> float | None:
            running.workers.ask(Question(name="cost"), seconds=9.0)
            return None

    running = coordinator(
        tmp_path, engine=DiesWhenAsked(), scheduler=FullTraining(9), trials=4, timeout=1e11,
        admission=Admission(Asking(), 9, 9),
    )  # fmt: skip
    assert finish(running).complete
    assert [trial.state for trial in running.state.trials.values()] == ["complete"] * 4


class BadNeighbours(SlowWriter):
    """While trial 0 is being written, whatever the worker is given next takes it along, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__(1)
        self.times = times

    def poll(self, timeout: float) -> list[EngineEvent]:
        written = [getattr(event, "event", None) for _, events in self._late for event in events]
        if self.times and self._waiting and any(getattr(report, "trial", None) == 0 for report in written):
            self.times -= 1
            self._waiting.clear()
            return [WorkerLost(0, "it was taken along")]
        return super().poll(timeout)


def test_a_trial_that_is_only_being_written_is_not_to_blame_for_what_its_worker_does_next(
    tmp_path: Path,
) -> None:
    running = coordinator(tmp_path, engine=BadNeighbours(5), scheduler=FullTraining(9))
    assert finish(running).complete
    state = fold(read(tmp_path / "events.jsonl"))
    assert state.trials[0].attempts == 6
    assert {trial.state for trial in state.trials.values()} == {"complete"}


def test_a_worker_with_the_users_own_code_gets_nothing_before_all_is_written(tmp_path: Path) -> None:
    class Watching(SlowWriter):
        def submit(self, worker: int, segment: Segment) -> None:
            assert not any(event.worker == worker for _, events in self._late for event in events)  # type: ignore[attr-defined]
            super().submit(worker, segment)

    running = coordinator(tmp_path, engine=Watching(2), model="mine:build")
    assert finish(running).complete
    assert sorted(event.trial for event in ends(read(tmp_path / "events.jsonl"))) == list(range(12))


class InStep(InlineEngine):
    """All workers end at the same moment."""

    def poll(self, timeout: float) -> list[EngineEvent]:
        events = super().poll(timeout)
        while self._waiting:
            events += super().poll(timeout)
        return events


class Growing(SlowWriter):
    """Every worker has grown too large after its third segment, until it is replaced."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.trained = dict.fromkeys(range(workers), 0)
        self.replaced = 0

    def submit(self, worker: int, segment: Segment) -> None:
        self.trained[worker] += 1
        assert self.trained[worker] <= 3
        super().submit(worker, segment)

    def has_grown(self, worker: int) -> bool:
        return self.trained[worker] == 3

    def restart(self, worker: int) -> None:
        assert not any(event for _, events in self._late for event in events if event.worker == worker)
        self.trained[worker] = 0
        self.replaced += 1
        super().restart(worker)


def test_a_worker_that_has_grown_is_replaced_when_all_its_files_are_written(tmp_path: Path) -> None:
    engine = Growing(2)
    running = coordinator(tmp_path, engine=engine, scheduler=FullTraining(9))
    assert finish(running).complete
    assert engine.replaced >= 3
    records = read(tmp_path / "events.jsonl")
    assert len(segments_of(records)) == 12
    assert [event.state for event in ends(records)] == ["complete"] * 12


def test_a_segment_goes_where_its_program_is_warm(tmp_path: Path) -> None:
    engine = InStep(2, run=simulate)
    running = coordinator(tmp_path, engine=engine, trials=30, scheduler=FullTraining(1))
    finish(running)
    placed = [
        (record.event.worker, str(running.state.trials[record.event.trial].params["optimizer"]))
        for record in read(tmp_path / "events.jsonl")
        if isinstance(record.event, SegmentStarted)
    ]
    compiled: set[tuple[int, str]] = set()
    chances = 0
    for (one, first), (other, second) in zip(placed[::2], placed[1::2], strict=True):
        if (one, first) not in compiled:
            assert (other, first) not in compiled
        if first != second and {(one, second), (other, second)} & compiled:
            chances += (other, second) in compiled
        compiled |= {(one, first), (other, second)}
    assert chances
    assert {optimizer for _, optimizer in placed} == {"sgd", "adam"}


def test_exactly_the_trials_asked_for_each_ended_once(tmp_path: Path) -> None:
    running = coordinator(tmp_path)
    ended = finish(running)
    assert ended.complete
    records = read(tmp_path / "events.jsonl")
    assert sorted(event.trial for event in ends(records)) == list(range(12))
    assert isinstance(records[-1].event, StudyEnded)


def test_the_best_configuration_is_trained_to_the_end(tmp_path: Path) -> None:
    running = coordinator(tmp_path)
    finish(running)
    trials = running.state.trials.values()
    winner = best(running.state)
    assert winner is not None
    assert winner.state == "complete"
    assert float(winner.params["dropout"]) == min(float(trial.params["dropout"]) for trial in trials)
    assert {trial.state for trial in trials} == {"complete", "pruned"}


def test_without_a_scheduler_every_trial_is_complete(tmp_path: Path) -> None:
    running = coordinator(tmp_path, scheduler=FullTraining(9))
    finish(running)
    assert {(t.state, max(t.epochs)) for t in running.state.trials.values()} == {("complete", 9)}


def test_the_same_seed_asks_the_same_configurations(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        running = coordinator(tmp_path / name)
        finish(running)
        found.append([trial.params for trial in running.state.trials.values()])
    assert found[0] == found[1]


def test_an_interrupted_study_goes_on_and_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    """Stopped after every single segment, with a new coordinator each time."""
    (tmp_path / "whole").mkdir()
    whole = coordinator(tmp_path / "whole", engine=InlineEngine(1, run=simulate))
    finish(whole)
    (tmp_path / "cut").mkdir()
    for _ in range(200):
        stop = Stop()

        def run_one(segment: Segment, observe: Observe, _: object, stop: Stop = stop) -> None:
            simulate(segment, observe, lambda: False)
            stop.reason = "interrupted"

        running = coordinator(tmp_path / "cut", engine=InlineEngine(1, run=run_one), stop=stop)
        if finish(running).complete:
            break
    assert running.state.sessions > 10

    assert told(running.state) == told(whole.state)


@pytest.mark.parametrize("window", [0, 2])
def test_segments_say_where_the_cycles_of_their_trial_end_before_and_after_a_resume(
    tmp_path: Path, window: int
) -> None:
    """Those of its bracket: a trial of Hyperband that begins at a later rung has its first cycle up to it."""
    cycles: dict[int, set[tuple[int, ...]]] = {}
    for _ in range(200):
        stop = Stop()

        def run_one(segment: Segment, observe: Observe, _: object, stop: Stop = stop) -> None:
            simulate(segment, observe, lambda: False)
            cycles.setdefault(segment.trial, set()).add(segment.cycles)
            stop.reason = "interrupted"

        engine = InlineEngine(1, run=run_one)
        if finish(
            coordinator(tmp_path, engine=engine, stop=stop, scheduler=Hyperband(1, 9, 3), window=window)
        ).complete:
            break
    brackets = Hyperband(1, 9, 3)
    assert cycles == {trial: {tuple(brackets.bracket(trial).rungs)} for trial in range(12)}
    assert {(1, 3, 9), (3, 9), (9,)} == set().union(*cycles.values())


class ShuffledEngine(InlineEngine):
    """Runs what is waiting in a random order, so that results come in any order."""

    def __init__(self, workers: int, seed: int, run: Any = None) -> None:
        super().__init__(workers, run=run or simulate)
        self._random = random.Random(seed)

    def poll(self, timeout: float) -> list[EngineEvent]:
        self._random.shuffle(self._waiting)
        return super().poll(timeout)


def told(state: StudyState) -> list[object]:
    return [(t.number, t.params, t.state, t.score, t.reason, t.last_epoch) for t in state.trials.values()]


def ordered(folder: Path, seed: int, **changes: Any) -> Coordinator:
    folder.mkdir(exist_ok=True)
    engine = changes.pop("engine", None) or ShuffledEngine(3, seed)
    return coordinator(folder, trials=20, window=3, engine=engine, **changes)


def test_in_ordered_mode_the_study_does_not_depend_on_timing(tmp_path: Path) -> None:
    found = []
    for seed in range(6):
        running = ordered(tmp_path / str(seed), seed)
        assert finish(running).complete
        found.append(told(running.state))
    assert all(one == found[0] for one in found)
    other = coordinator(tmp_path, trials=20, engine=ShuffledEngine(3, 1))
    finish(other)
    assert told(other.state) != found[0]


def test_in_ordered_mode_an_interrupted_study_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    """Cut off after a random number of events, without any word in the log, again and again."""
    whole = ordered(tmp_path / "whole", 0)
    finish(whole)
    rng = random.Random(4)
    for session in range(200):
        left = rng.randrange(1, 40)

        def cut(record: LogRecord, running: list[int] = [left]) -> None:  # noqa: B006 - a counter
            running[0] -= 1
            if not running[0]:
                raise KeyboardInterrupt

        running = ordered(tmp_path / "cut", session, on_record=[cut])
        try:
            ended = running.run()
        except KeyboardInterrupt:
            continue
        finally:
            running.writer.log.close()
        assert ended.complete
        break
    assert running.state.sessions > 5
    assert told(running.state) == told(whole.state)


def test_a_trial_whose_end_was_not_written_is_complete_all_the_same(tmp_path: Path) -> None:
    """The coordinator was killed between the segment's last record and the trial's."""

    def cut(record: LogRecord) -> None:
        if isinstance(record.event, SegmentEnded) and record.event.over:
            raise KeyboardInterrupt

    running = coordinator(tmp_path, trials=1, scheduler=FullTraining(9), on_record=[cut])
    with pytest.raises(KeyboardInterrupt):
        running.run()
    running.writer.log.close()
    again = coordinator(tmp_path, trials=1, scheduler=FullTraining(9))
    assert finish(again).complete
    assert [(end.state, end.epoch) for end in ends(read(tmp_path / "events.jsonl"))] == [("complete", 9)]


def out_of_memory(parts: int) -> Callable[[Segment, Observe, Callable[[], bool]], None]:
    """Trial 1 needs its batches cut into more than `parts`."""

    def run(segment: Segment, observe: Observe, should_stop: Callable[[], bool]) -> None:
        if segment.trial == 1 and segment.microbatches <= parts:
            observe(
                SegmentFailed(
                    trial=1,
                    attempt=segment.attempt,
                    failure="out_of_memory",
                    message="too large",
                    traceback="",
                    time=0,
                )
            )
        else:
            simulate(segment, observe, should_stop)

    return run


def test_out_of_memory_is_tried_again_once_in_smaller_parts(tmp_path: Path) -> None:
    running = coordinator(tmp_path, engine=InlineEngine(2, run=out_of_memory(1)))
    finish(running)
    assert running.state.trials[1].failure is None
    assert running.state.trials[1].microbatches == 2


def test_out_of_a_gpus_memory_that_others_share_is_tried_again_as_it_was(tmp_path: Path) -> None:
    """However often it takes until fewer share it; the log tells, and a later session knows."""

    def run(segment: Segment, observe: Observe, should_stop: Callable[[], bool]) -> None:
        if segment.trial == 1 and segment.attempt <= 4:
            about = {"trial": 1, "attempt": segment.attempt, "time": 0}
            failed = SegmentFailed(
                failure="out_of_memory",
                message="no room",
                traceback="",
                shared=True,
                **about,  # type: ignore[arg-type]
            )
            observe(failed)
        else:
            simulate(segment, observe, should_stop)

    running = coordinator(tmp_path, engine=InlineEngine(2, run=run))
    finish(running)
    trial = running.state.trials[1]
    assert (trial.failure, trial.microbatches) == (None, 1)
    running.writer.log.close()
    assert fold(read(tmp_path / "events.jsonl")).trials[1].microbatches == 1


def test_out_of_memory_twice_is_a_failure_that_the_sampler_learns_from(tmp_path: Path) -> None:
    running = coordinator(tmp_path, engine=InlineEngine(2, run=out_of_memory(2)))
    finish(running)
    failed = running.state.trials[1]
    assert (failed.state, failed.failure, failed.attempts) == ("failed", "out_of_memory", 2)
    assert "half the batch" in failed.reason


def test_a_worker_that_has_grown_and_runs_out_of_memory_is_replaced_once(tmp_path: Path) -> None:
    """The user's own network: its worker is given nothing before the last file is written."""

    def run(segment: Segment, observe: Observe, should_stop: Callable[[], bool]) -> None:
        if segment.trial == 1 and segment.microbatches == 1:
            about = {"trial": 1, "attempt": segment.attempt, "time": 0}
            observe(TrainingEnded(epoch=segment.stop, over=False, **about))  # type: ignore[arg-type]
            observe(SegmentFailed(failure="out_of_memory", message="", traceback="", **about))  # type: ignore[arg-type]
        else:
            simulate(segment, observe, should_stop)

    class Counting(InlineEngine):
        restarts = 0

        def has_grown(self, worker: int) -> bool:
            return True

        def restart(self, worker: int) -> None:
            self.restarts += 1
            super().restart(worker)

    engine = Counting(1, run=run)
    assert finish(coordinator(tmp_path, engine=engine, model="mine:build")).complete
    assert engine.restarts == 1


@pytest.mark.parametrize("budget", [1, 2, 7, 20, 22])
def test_no_more_epochs_are_trained_than_the_budget_has(tmp_path: Path, budget: int) -> None:
    running = coordinator(tmp_path, engine=InlineEngine(3, run=simulate), max_epochs_total=budget)
    ended = finish(running)
    assert ended.reason == f"the budget of {budget} epochs is used up"
    assert epochs_trained(running.state) == budget
    longer = coordinator(tmp_path, engine=InlineEngine(3, run=simulate), max_epochs_total=budget + 3)
    finish(longer)
    assert epochs_trained(longer.state) == budget + 3
    whole = coordinator(tmp_path)
    assert finish(whole).complete
    assert best(whole.state) is not None


def test_epochs_that_a_trial_did_not_need_are_left_to_one_that_was_granted_less(tmp_path: Path) -> None:
    def early(segment: Segment, observe: Observe, should_stop: Callable[[], bool]) -> None:
        own = replace(segment, stop=3, max_epochs=3) if segment.trial == 0 else segment
        simulate(own, observe, should_stop)

    running = coordinator(
        tmp_path, trials=2, scheduler=FullTraining(9), engine=InlineEngine(2, run=early), max_epochs_total=10
    )
    assert finish(running).reason == "the budget of 10 epochs is used up"
    trials = running.state.trials.values()
    assert [(trial.state, trial.last_epoch) for trial in trials] == [("complete", 3), ("paused", 7)]


def test_a_trial_may_not_train_for_longer_than_its_limit(tmp_path: Path) -> None:
    def slow(segment: Segment, observe: Observe, should_stop: Callable[[], bool]) -> None:
        def watched(event: WorkerEvent) -> None:
            if isinstance(event, EpochEnded):
                event = replace(event, metrics=event.metrics | {"epoch_seconds": 10.0 * segment.trial})
            observe(event)

        simulate(segment, watched, should_stop)

    running = coordinator(
        tmp_path, scheduler=Asha(1, 9, 3), engine=InlineEngine(1, run=slow), max_trial_seconds=55.0
    )
    finish(running)
    late = [trial for trial in running.state.trials.values() if "more than 55 s" in trial.reason]
    assert late
    for trial in late:
        assert trial.state == "pruned"
        assert 10 * trial.number * len(trial.epochs) > 55


def slow_by(factor: float) -> Callable[[Segment, Observe, Callable[[], bool]], None]:
    """Epochs of `factor` seconds times the trial's number; `TrainingEnded` is told, as by a real worker."""

    def run(segment: Segment, observe: Observe, should_stop: Callable[[], bool]) -> None:
        def watched(event: WorkerEvent) -> None:
            if isinstance(event, EpochEnded):
                event = replace(event, metrics=event.metrics | {"epoch_seconds": factor * segment.trial})
            elif isinstance(event, SegmentEnded):
                observe(
                    TrainingEnded(
                        trial=event.trial, attempt=event.attempt, epoch=event.epoch, over=event.over, time=0
                    )
                )
            observe(event)

        simulate(segment, watched, should_stop)

    return run


@pytest.mark.parametrize("window", [0, 2])
@pytest.mark.parametrize("limit", [1.0, 8.0, 8.5, 20.0, 54.0])
def test_whatever_crosses_its_time_limit_in_its_last_epoch_is_known_all_the_same(
    tmp_path: Path, window: int, limit: float
) -> None:
    """In order, an outcome that is never learned would end the study with trials missing."""
    running = coordinator(
        tmp_path,
        window=window,
        scheduler=Asha(1, 9, 3),
        engine=InlineEngine(2, run=slow_by(1.0)),
        max_trial_seconds=limit,
    )
    assert finish(running).complete
    assert sorted(event.trial for event in ends(read(tmp_path / "events.jsonl"))) == list(range(12))
    if limit > 54:
        assert "complete" in {trial.state for trial in running.state.trials.values()}


def spaces() -> st.SearchStrategy[dict[str, Any]]:
    """Small spaces: lists, steps, ranges down to a few floats, and parameters that depend on others."""
    number = st.floats(0.0, 0.5)

    def entry(low: float, width: float) -> dict[str, Any]:
        return {"type": "float", "low": low, "high": min(low + width, 0.9)}

    dropout = st.one_of(
        number,
        st.lists(number, min_size=1, max_size=3, unique=True),
        st.builds(entry, number, st.sampled_from([0.0, 5e-324, 1e-16, 0.4])),
        st.builds(lambda low: {"type": "float", "low": low, "high": 0.5, "step": 0.25}, st.floats(0.0, 0.4)),
    )
    optimizer = st.lists(
        st.sampled_from(["sgd", "momentum", "adam", "lion", "rmsprop"]), min_size=1, max_size=5, unique=True
    )
    momentum = st.one_of(
        st.none(),
        st.just({"type": "float", "low": 0.8, "high": 0.9}),
        st.lists(number, min_size=1, max_size=2),
    )
    depth = st.one_of(st.just(2), st.just({"type": "int", "low": 1, "high": 2}))

    def space_of(drop: Any, optimizers: list[str], moment: Any, deep: Any) -> dict[str, Any]:
        found = {"depth": deep, "dropout": drop, "optimizer": optimizers}
        if moment is not None and "momentum" in optimizers:
            if isinstance(moment, list):
                moment = {"type": "categorical", "choices": list(dict.fromkeys(moment))}
            found["momentum"] = {**moment, "when": {"optimizer": ["momentum"]}}
        return found

    return st.builds(space_of, dropout, optimizer, momentum, depth)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entries=spaces(),
    trials=st.integers(1, 30),
    sampler=st.sampled_from(["random", "tpe", "qmc"]),
    scheduler=st.sampled_from(["asha", "none", "screen", "median"]),
    window=st.integers(0, 3),
    limits=st.fixed_dictionaries(
        {},
        optional={
            "max_trial_seconds": st.floats(1.0, 100.0),
            "max_epochs_total": st.integers(1, 100),
            "target": st.floats(0.3, 1.0),
            "patience": st.integers(1, 10),
        },
    ),
)
def test_a_study_that_says_complete_has_all_its_trials_or_there_are_no_more(
    tmp_path_factory: pytest.TempPathFactory,
    entries: dict[str, Any],
    trials: int,
    sampler: str,
    scheduler: str,
    window: int,
    limits: dict[str, Any],
) -> None:
    kind = SCHEDULERS[scheduler]
    running = coordinator(
        tmp_path_factory.mktemp("study"),
        trials=trials,
        epochs=3,
        space=entries,
        sampler=sampler,
        scheduler=kind.build(kind.settings(), 3, True),
        window=window,
        engine=InlineEngine(2, run=slow_by(1.0)),
        **limits,
    )
    ended = finish(running)
    found = running.state.trials
    if not ended.complete:
        assert limits.keys() - {"max_trial_seconds"}
        return
    assert {trial.state for trial in found.values()} <= {"complete", "pruned"}
    if len(found) < trials:
        every = list(islice(configurations(parse_space(entries)), trials + 1))
        assert len(found) == len({json.dumps(complete(params), sort_keys=True) for params, _ in every})
        assert "all" in ended.reason
        assert "configurations" in ended.reason


def test_a_space_of_one_conditional_range_and_a_list_does_not_end(tmp_path: Path) -> None:
    entries = {
        "optimizer": ["sgd", "momentum", "adam", "lion", "rmsprop"],
        "momentum": {"type": "float", "low": 0.8, "high": 0.99, "when": {"optimizer": ["momentum"]}},
    }
    running = coordinator(tmp_path, trials=80, space=entries, scheduler=FullTraining(1))
    assert finish(running).reason == "all 80 trials have ended"
    assert len(running.state.trials) == 80


def pruning() -> Scheduler:
    """An Optuna pruner that stops some trials of a simulated sweep."""
    kind = SCHEDULERS["median"]
    return kind.build(kind.settings(startup_trials=2), 9, True)


def test_what_a_pruner_stops_is_ended_at_once_and_for_good(tmp_path: Path) -> None:
    running = coordinator(tmp_path, trials=20, scheduler=pruning(), engine=InlineEngine(1, run=simulate))
    finish(running)
    records = read(tmp_path / "events.jsonl")
    stopped = {end.trial: end for end in ends(records) if end.state == "pruned"}
    assert stopped
    last_start = max(record.seq for record in records if isinstance(record.event, SegmentStarted))
    for record in records:
        if isinstance(record.event, TrialEnded) and record.event.state == "pruned":
            assert record.event.reason == f"stopped by the pruner at epoch {record.event.epoch}"
    early = [r for r in records if isinstance(r.event, TrialEnded) and r.event.trial in stopped]
    assert sum(record.seq < last_start for record in early) >= len(stopped) - 1


def test_what_a_pruner_has_stopped_does_not_go_on_after_a_resume(tmp_path: Path) -> None:
    """Stopped after every segment, and cut off before the trial's end is written."""
    whole = coordinator(
        tmp_path / "whole", trials=20, scheduler=pruning(), engine=InlineEngine(1, run=simulate)
    )
    finish(whole)
    rng = random.Random(7)
    for _ in range(400):
        left = rng.randrange(1, 30)

        def cut(record: LogRecord, running: list[int] = [left]) -> None:  # noqa: B006 - a counter
            running[0] -= 1
            if not running[0]:
                raise KeyboardInterrupt

        running = coordinator(
            tmp_path / "cut",
            trials=20,
            scheduler=pruning(),
            engine=InlineEngine(1, run=simulate),
            on_record=[cut],
        )
        try:
            running.run()
        except KeyboardInterrupt:
            continue
        finally:
            running.writer.log.close()
        break
    assert running.state.sessions > 10
    assert told(running.state) == told(whole.state)


def test_checkpoints_that_nothing_needs_are_removed(tmp_path: Path) -> None:
    def saving(segment: Segment, observe: Observe, should_stop: Callable[[], bool]) -> None:
        def watched(event: WorkerEvent) -> None:
            if isinstance(event, EpochEnded):
                file = Path("trials") / f"{segment.trial:05d}" / f"checkpoint-{event.epoch:05d}-1.ckpt"
                (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / file).write_bytes(b"state")
                saved = Checkpoint(file=str(file), sha256="0" * 64, epoch=event.epoch)
                observe(event)
                observe(CheckpointSaved(trial=segment.trial, attempt=1, checkpoint=saved, time=0))
            elif not isinstance(event, CheckpointSaved):
                observe(event)

        simulate(segment, watched, should_stop)

    finish(coordinator(tmp_path, engine=InlineEngine(2, run=saving)))
    assert list((tmp_path / "trials").rglob("checkpoint-*")) == []


def test_more_trials_can_be_added_to_a_finished_study(tmp_path: Path) -> None:
    finish(coordinator(tmp_path, trials=6))
    running = coordinator(tmp_path, trials=9)
    assert finish(running).complete
    assert sorted(running.state.trials) == list(range(9))
    assert len(ends(read(tmp_path / "events.jsonl"))) == 9


def test_a_failing_configuration_fails_its_trial_only(tmp_path: Path) -> None:
    def run(segment: Segment, observe: Observe, should_stop: Callable[[], bool]) -> None:
        if segment.trial == 3:
            observe(
                SegmentFailed(trial=3, attempt=1, failure="diverged", message="NaN", traceback="…", time=0)
            )
        else:
            simulate(segment, observe, should_stop)

    running = coordinator(tmp_path, engine=InlineEngine(2, run=run))
    finish(running)
    failed = running.state.trials[3]
    assert (failed.state, failed.failure, failed.reason) == ("failed", "diverged", "NaN")
    assert sum(trial.state == "failed" for trial in running.state.trials.values()) == 1


class LosingEngine(InlineEngine):
    """Loses the worker whenever it is given trial 2."""

    def poll(self, timeout: float) -> list[EngineEvent]:
        if self._waiting and not self._events and self._waiting[0][1].trial == 2:
            worker, _ = self._waiting.pop(0)
            return [WorkerLost(worker, "gone")]
        return super().poll(timeout)


def test_a_lost_workers_segment_is_tried_again_a_bounded_number_of_times(tmp_path: Path) -> None:
    running = coordinator(tmp_path, engine=LosingEngine(2, run=simulate))
    finish(running)
    lost = running.state.trials[2]
    assert (lost.state, lost.failure, lost.attempts) == ("failed", "crash", RETRIES + 1)
    assert sum(trial.state == "complete" for trial in running.state.trials.values()) >= 1


class TakenAwayEngine(InlineEngine):
    """Loses the machine that trains trial 2, more often than a trial may fail."""

    left = 2 * RETRIES

    def poll(self, timeout: float) -> list[EngineEvent]:
        if self.left and self._waiting and not self._events and self._waiting[0][1].trial == 2:
            self.left -= 1
            worker, _ = self._waiting.pop(0)
            return [WorkerLost(worker, "The node was taken away. It is gone.", "preempted")]
        return super().poll(timeout)


def test_what_is_lost_with_a_machine_that_is_taken_away_is_not_a_failure_of_the_trial(tmp_path: Path) -> None:
    undisturbed = coordinator(tmp_path / "undisturbed")
    finish(undisturbed)
    told: list[str] = []
    engine = TakenAwayEngine(2, run=simulate)
    running = coordinator(tmp_path, engine=engine)
    running.note = told.append
    finish(running)
    assert engine.left == 0
    assert all(trial.state != "failed" for trial in running.state.trials.values())
    assert len(ends(read(tmp_path / "events.jsonl"))) == 12
    usual = undisturbed.state.trials[2].attempts
    assert running.state.trials[2].attempts == usual + 2 * RETRIES
    assert "Trial 2 goes on from its last checkpoint: The node was taken away." in told


class SilentEngine(InlineEngine):
    """Never answers about trial 2, and uses a processor all the time or not at all."""

    busy = False

    def cpu_seconds(self, worker: int) -> float:
        return time.monotonic() if self.busy else 0.0

    def poll(self, timeout: float) -> list[EngineEvent]:
        self._waiting = [(worker, segment) for worker, segment in self._waiting if segment.trial != 2]
        return super().poll(timeout)


@pytest.mark.slow
def test_a_silent_worker_is_replaced_and_its_segment_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST_SECONDS", "START_SECONDS", "WATCHED_SECONDS"):
        monkeypatch.setattr(silence, name, 0.05)
    running = coordinator(tmp_path, engine=SilentEngine(2, run=simulate))
    finish(running)
    silent = running.state.trials[2]
    assert (silent.state, silent.failure, silent.attempts) == ("failed", "hang", RETRIES + 1)
    assert len(ends(read(tmp_path / "events.jsonl"))) == 12


def test_a_silent_worker_that_keeps_a_processor_busy_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST_SECONDS", "START_SECONDS", "WATCHED_SECONDS"):
        monkeypatch.setattr(silence, name, 0.02)
    stop = Stop()

    class Busy(SilentEngine):
        busy = True
        polls = 0

        def poll(self, timeout: float) -> list[EngineEvent]:
            self.polls += 1
            time.sleep(0.01)
            if self.polls == 200:
                stop.reason, stop.immediately = "enough", True
            return super().poll(timeout)

    running = coordinator(tmp_path, engine=Busy(2, run=simulate), stop=stop)
    finish(running)
    assert running.state.trials[2].failure is None
    assert running.state.trials[2].attempts == 1


def test_a_worker_that_speaks_in_the_moment_in_which_its_time_is_over_is_not_replaced(tmp_path: Path) -> None:
    def slow(segment: Segment, observe: Observe, should_stop: Callable[[], bool]) -> None:
        time.sleep(0.02)
        simulate(segment, observe, should_stop)

    class Watching(InlineEngine):
        def restart(self, worker: int) -> None:
            raise AssertionError("it has spoken")

    running = coordinator(tmp_path, trials=3, engine=Watching(1, run=slow), hang_seconds=0.01)
    assert finish(running).complete


def test_readiness_comes_before_work() -> None:
    engine = InlineEngine(3, run=simulate)
    engine.start()
    assert engine.poll(0) == [WorkerReady(0), WorkerReady(1), WorkerReady(2)]
