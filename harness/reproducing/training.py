"""A trial trained again from its record, in a worker and a folder of its own, up to the same epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.clock import now_ms
from harness.engine.kind import EngineChoice
from harness.engine.protocol import Reported, WorkerLost, WorkerReady
from harness.errors import EngineError, HarnessError
from harness.paths import StudyPaths
from harness.records import (
    CheckpointSaved,
    DiskFull,
    EpochEnded,
    Event,
    LogRecord,
    Pulse,
    Segment,
    SegmentEnded,
    SegmentFailed,
    SegmentStarted,
    StoreAway,
    TrainingEnded,
    TrialStarted,
    WorkerEvent,
)
from harness.reproducing.record import Stretch, TrialRecord
from harness.study.cleanup import remove_checkpoints
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.sweeping.engines import engine_settings, started_engine
from harness.sweeping.outcomes import next_segment
from harness.sweeping.parts import make_scheduler
from harness.sweeping.plan import Stop, SweepPlan
from harness.sweeping.provenance import study_started
from harness.sweeping.workers import Workers


@dataclass(slots=True)
class Rerun:
    """The records of a training, as an event log would hold them; nothing of them is written."""

    state: StudyState = field(default_factory=StudyState)
    records: list[LogRecord] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Take in what has happened."""
        record = LogRecord(len(self.records) + 1, event)
        self.records.append(record)
        self.state.apply(record)


def train_again(
    trial: Trial,
    recorded: TrialRecord,
    plan: SweepPlan,
    told: Callable[[EpochEnded], None],
    stop: Stop,
    engine: EngineChoice,
    note: Callable[[str], None],
) -> Rerun:
    """Train a trial to the last epoch that is recorded of it, each epoch with the setting that it had.

    Args:
        trial: of the study.
        recorded: what its log says of it.
        plan: of a sweep with the trial's experiment and data, and a folder for the files of this training.
        told: hears of every epoch.
        stop: set from outside to end it.
        engine: that starts the worker.
        note: told what a person should know of it.

    Returns:
        What was trained; the trial has its number. It ends early where training does: its loss is not a
        finite number any more, or does not improve.

    Raises:
        EngineError: the worker cannot be started, or is gone.
        HarnessError: the trial cannot be trained.
        KeyboardInterrupt: `stop` was set.
    """
    rerun = Rerun()
    for stretch in recorded.stretches:
        if not _train(rerun, stretch, trial, recorded, plan, told, stop, engine, note):
            break
    return rerun


def _train(
    rerun: Rerun,
    stretch: Stretch,
    trial: Trial,
    recorded: TrialRecord,
    plan: SweepPlan,
    told: Callable[[EpochEnded], None],
    stop: Stop,
    chosen: EngineChoice,
    note: Callable[[str], None],
) -> bool:
    """Train a stretch of epochs; whether there can be a further one."""
    threads, folder = stretch.setting.threads, StudyPaths(plan.study_folder)
    settings = engine_settings(plan.experiment, folder, 1, chosen, note, threads=threads)
    with started_engine(settings, chosen) as engine:
        rerun.add(
            study_started(
                plan.study_folder.name,
                plan.experiment,
                plan.dataset,
                rerun.state,
                workers=1,
                seconds=0.0,
                weights=plan.weights,
                threads=threads,
            )
        )
        if trial.number not in rerun.state.trials:
            rerun.add(
                TrialStarted(
                    trial=trial.number,
                    params=trial.params,
                    sampled=trial.sampled,
                    seed=trial.seed,
                    time=now_ms(),
                )
            )
        again = rerun.state.trials[trial.number]
        again.microbatches, again.measured = stretch.setting.microbatches, trial.measured
        again.annealing = trial.annealing
        workers = Workers(engine, plan.experiment.search.hang_seconds)
        while True:
            segment = _begin(rerun, again, stretch, plan)
            ended = _run(workers, segment, rerun, plan, told, stop)
            whole_fold = isinstance(ended, SegmentEnded) and segment.fold is not None
            if not (whole_fold and again.reached == segment.stop < stretch.stop):
                break
    if isinstance(ended, SegmentEnded):
        return not ended.over
    expected = recorded.failure is not None and recorded.failure.failure == ended.failure
    if not (expected and again.last_epoch):
        raise HarnessError(f"Trial {trial.number} cannot be trained again: {ended.message}")
    return False


def _begin(rerun: Rerun, again: Trial, stretch: Stretch, plan: SweepPlan) -> Segment:
    """The next segment of a stretch: all of it, or its part within a fold."""
    cycles = make_scheduler(plan.experiment).cycles(again.number)
    segment = next_segment(plan, again, stretch.stop, cycles)
    rerun.add(
        SegmentStarted(
            trial=segment.trial,
            attempt=segment.attempt,
            start=segment.start,
            stop=segment.stop,
            worker=0,
            microbatches=segment.microbatches,
            annealing=segment.annealing,
            time=now_ms(),
        )
    )
    return segment


def _run(
    workers: Workers,
    segment: Segment,
    rerun: Rerun,
    plan: SweepPlan,
    told: Callable[[EpochEnded], None],
    stop: Stop,
) -> SegmentEnded | SegmentFailed:
    """Let the one worker run the segment; what ended it."""
    for idle in workers.idle:  # it has run the one before
        workers.start(idle, segment)
    while stop.reason is None:
        for heard in workers.listen():
            if isinstance(heard, WorkerReady):
                workers.ready(heard.worker)
                workers.start(heard.worker, segment)
            elif isinstance(heard, WorkerLost):
                raise EngineError(f"The trial could not be trained again. {heard.reason}")
            elif isinstance(heard, Reported):
                event = heard.event
                worker, _ = workers.meant_by(heard)  # it has spoken, so it does not hang
                _take_in(event, segment, rerun, plan, told)
                if isinstance(event, SegmentEnded | SegmentFailed):
                    workers.through_with(worker, segment)
                    return event
        for silent in workers.silent():
            raise EngineError(f"The trial could not be trained again. {silent.reason}")
    raise KeyboardInterrupt


def _take_in(
    event: WorkerEvent,
    segment: Segment,
    rerun: Rerun,
    plan: SweepPlan,
    told: Callable[[EpochEnded], None],
) -> None:
    if isinstance(event, DiskFull):
        raise HarnessError(
            f"There is no room for the files of this training in {plan.study_folder}: {event.message} "
            "The environment variable TMPDIR names another place for them."
        )
    if isinstance(event, Pulse | TrainingEnded | StoreAway):
        return
    rerun.add(event)
    if isinstance(event, EpochEnded):
        told(event)
    elif isinstance(event, CheckpointSaved):
        kept = [one.file for one in rerun.state.trials[segment.trial].checkpoints]
        remove_checkpoints(plan.study_folder, segment.trial, kept)
