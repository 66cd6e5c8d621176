"""A sweep from an experiment to its result: open the study, prepare the data, start workers, run, close."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Literal

from harness.engine import ENGINES
from harness.engine.kind import EngineChoice, Share
from harness.engine.protocol import Engine
from harness.errors import EngineError, StudyError
from harness.experiment.experiment import LIMITS, Experiment
from harness.experiment.load import with_search
from harness.paths import StudyPaths, home, make_folder, study_names, when_there_is_room, write_text
from harness.records import StudyEnded
from harness.study.cleanup import remove_if_empty, tidy_study
from harness.study.event_log import EventLog
from harness.study.limits import describe as describe_limits
from harness.study.limits import used_up
from harness.study.lock import study_lock
from harness.study.names import check_name, new_name
from harness.study.opening import unknown_study
from harness.study.state import StudyState, fold
from harness.sweeping.checks import as_begun, check_same_experiment
from harness.sweeping.coordinator import Coordinator
from harness.sweeping.engines import (
    ON_THIS_MACHINE,
    engine_settings,
    number_of_workers,
    place_of_files,
    started_engine,
)
from harness.sweeping.forecast_costs import ForecastCosts
from harness.sweeping.hindsight import Hindsight, look_ahead, look_back
from harness.sweeping.parts import make_policy, make_sampler
from harness.sweeping.plan import Stop, SweepPlan, SweepResult, Watcher
from harness.sweeping.precision import measured, settled
from harness.sweeping.preparing import prepare_data
from harness.sweeping.pretrained import check_weights
from harness.sweeping.provenance import study_started
from harness.sweeping.schedule import with_schedule
from harness.sweeping.stopwatch import Stopwatch
from harness.sweeping.stored_checkpoints import StoredCheckpoints
from harness.sweeping.study_forecast import study_forecast
from harness.sweeping.waiting import wait_for_room
from harness.sweeping.warm_start import warm_start
from harness.sweeping.workers import Workers
from harness.sweeping.writer import StudyWriter
from harness.tracking.check import StoreCheck
from harness.tracking.cursor import rebuild_runs
from harness.tracking.notes import told_once
from harness.tracking.running import close_trackers, start_trackers
from harness.tracking.storage_lock import storage_lock
from harness.tracking.tracker import TrackedStudy

if TYPE_CHECKING:  # Optuna is imported while workers import TensorFlow
    from harness.sweeping.samplers.sampler import Sampler

TAKEN = "another coordinator has got the study's lock"
"""Why a sweep has ended whose lock in the storage was lost to somebody else."""


def run_sweep(
    experiment: Experiment,
    watcher: Watcher,
    *,
    study: str | None = None,
    resume: bool = False,
    workers: int | Literal["auto"] | None = None,
    recheck: bool = False,
    stop: Stop | None = None,
    began: float | None = None,
    chosen: EngineChoice = ON_THIS_MACHINE,
) -> SweepResult:
    """Run a study to its total of trials, or until it is stopped.

    Args:
        experiment: what to run; `search.trials` is the study's total.
        watcher: told about progress.
        study: the study's name; one that exists is gone on with. None makes a new name.
        resume: the study must exist.
        workers: worker processes, never more than trials; `auto` to measure how many are best; None for what
            the experiment says, and if it says nothing, for one per GPU or core.
        recheck: read all files of the data set again, whatever their sizes and times say.
        stop: set from outside, by a signal's handler or another thread, to end the sweep early.
        began: when what counts towards a time limit began, on the monotonic clock; None: now.
        chosen: the engine that starts the workers.

    Raises:
        HarnessError: with the reason, in sentences.
        KeyboardInterrupt: `stop` was set while the data was prepared.
    """
    clock, stop = Stopwatch(time.monotonic() if began is None else began), stop or Stop()
    name = check_name(study) if study else new_name(experiment.name, set(study_names()))
    paths = _study_folder(name, resume=resume)
    with ExitStack() as stack:
        stack.enter_context(study_lock(paths))
        stack.callback(remove_if_empty, paths)  # while the lock is held: it is nobody else's
        stack.enter_context(storage_lock(name, watcher.note, partial(_end_at_once, stop)))
        log = _open_log(paths, watcher) if paths.log.exists() else None
        state = fold(log.records) if log else StudyState()
        if log:
            stack.callback(log.close)
        given = experiment.search.model_fields_set
        experiment = as_begun(experiment, state, watcher.note)
        experiment = with_schedule(experiment, state, watcher.note)
        experiment = settled(experiment, state, watcher.note)
        experiment = _with_recorded_limits(experiment, given, state, watcher)
        if (nothing := _nothing_to_do(experiment, state)) is not None:
            return nothing
        clock.earlier = state.elapsed_seconds
        _go_on_unless(stop)
        tidy_study(paths, state)
        prepared = cache(partial(prepare_data, experiment, paths, state, watcher, stop, recheck=recheck))
        number = number_of_workers(experiment, workers, chosen, prepared, watcher, stop)
        by_itself = workers is None and experiment.search.workers is None
        files = place_of_files(chosen, name, state, watcher.note)
        settings = engine_settings(
            experiment, paths, number, chosen, watcher.note, files=files, by_itself=by_itself
        )
        # Workers import TensorFlow while everything else is prepared.
        engine = stack.enter_context(started_engine(settings, chosen))
        share = ENGINES[chosen.name].share(settings)
        learned = warm_start(experiment, name, state, lambda: prepared().dataset, watcher.note)
        sampler = make_sampler(experiment, learned)
        # Only now, as its threads need what the sampler has imported: Python does not keep threads apart that
        # import a package and a part of it at the same time.
        check = StoreCheck(TrackedStudy(paths, experiment.name, note=told_once(watcher.note)))
        dataset, clock.outside = prepared().dataset, prepared().decoding_seconds
        check.finish()
        at_work = Workers(engine, experiment.search.hang_seconds)
        out_of_time = partial(clock.is_past, experiment.budget.timeout)
        weights = check_weights(experiment, state, at_work, lambda: stop.reason is not None or out_of_time())
        experiment = measured(experiment, dataset, at_work, watcher, stop, out_of_time)
        _go_on_unless(stop)  # a study that has not begun leaves no trace
        if log is None:
            _keep_proposed(experiment, paths, watcher, stop)
            log = _open_log(paths, watcher)
            stack.callback(log.close)
        plan = SweepPlan(
            experiment=experiment,
            study_folder=paths.folder,
            dataset=dataset,
            weights=weights,
            warm_start=learned,
            files=files,
        )
        return _search(
            _Opened(
                name, plan, log, state, engine, share, at_work, sampler, check.study, clock, watcher, stop
            )
        )


@dataclass(frozen=True, slots=True)
class _Opened:
    """A study that is open, and all that its search needs."""

    name: str
    plan: SweepPlan
    log: EventLog
    state: StudyState
    engine: Engine
    share: Share
    """What each worker has."""
    workers: Workers
    sampler: Sampler
    tracked: TrackedStudy
    clock: Stopwatch
    watcher: Watcher
    stop: Stop


def _search(study: _Opened) -> SweepResult:
    """Run the coordinator from the session's first event to its last, and let the trackers catch up."""
    plan, state, watcher, stop = study.plan, study.state, study.watcher, study.stop
    experiment, clock = plan.experiment, study.clock
    trackers = start_trackers(study.tracked, study.log)

    def is_over() -> bool:
        return stop.reason is not None or clock.is_past(experiment.budget.timeout)

    ask = partial(study.workers.ask, unless=is_over)
    precision, workers = plan.precision, study.workers.number
    forecast = study_forecast(experiment, plan.dataset, workers, precision, ask)
    hindsight, costs = Hindsight.of(forecast, state), ForecastCosts(forecast, plan.dataset.example_shape)
    stored = StoredCheckpoints(plan.files, state) if plan.files else None
    feeds = (hindsight.feed, *(tracker.feed for tracker in trackers), *([stored.on_record] if stored else []))
    callbacks = (watcher.on_record, *feeds)
    writer = StudyWriter(plan, study.log, state, callbacks, wait_for_room(watcher.note, stop))
    opening = study_started(
        study.name,
        experiment,
        plan.dataset,
        state,
        workers=workers,
        seconds=clock.session,
        weights=plan.weights,
        threads=study.share.threads,
        warm_start=plan.warm_start,
        files=plan.files,
    )
    writer.emit(opening, durable=True)
    writer.commit()
    watcher.opened(state, plan, workers)
    if not opening.window:  # decisions in order must not depend on who is there
        study.sampler.fits.workers = lambda: study.workers.present
    coordinator = Coordinator(
        plan=plan,
        workers=study.workers,
        writer=writer,
        policy=make_policy(experiment, study.sampler, opening.window, costs, study.share.memory),
        clock=clock,
        note=watcher.note,
        on_pulse=watcher.on_pulse,
        stop=stop,
    )
    ended: StudyEnded | None = None
    try:
        look_ahead(experiment, hindsight.forecast, watcher.note)
        ended = coordinator.run()
        with suppress(EngineError):  # nobody is left to be asked, which does not matter any more
            look_back(experiment, hindsight, watcher.note, in_a_hurry=stop.reason is not None)
    finally:
        study.engine.close()
        if stored is not None:
            stored.close()
        study.log.sync()
        behind = close_trackers(
            trackers,
            lambda: _is_hurried(stop, coordinator, ended),
            clock.closing_deadline(experiment.budget.timeout),
        )
    _tell_repeats(study.sampler.repeats, watcher)
    return SweepResult(
        state=state,
        ended=ended,
        seconds=clock.session,
        at_fault=coordinator.gave_up,
        behind=behind,
        limit=coordinator.limit,
    )


def _study_folder(name: str, *, resume: bool) -> StudyPaths:
    """The study's files, in a folder that is there; raises StudyError if it must exist and does not."""
    paths = StudyPaths.of(name)
    if resume and not paths.log.exists():
        raise StudyError(unknown_study(name))
    make_folder(home())
    make_folder(paths.folder)
    return paths


def _keep_proposed(experiment: Experiment, paths: StudyPaths, watcher: Watcher, stop: Stop) -> None:
    """Keep the experiment file of a study that was written for its data: the same command goes on with it."""
    if experiment.proposed:
        when_there_is_room(
            lambda: write_text(paths.experiment, experiment.proposed),
            wait_for_room(watcher.note, stop, "the study's experiment file"),
        )


def _end_at_once(stop: Stop) -> None:
    """Another coordinator has got the study's lock: begin nothing more, and wait for no worker."""
    stop.reason, stop.immediately = stop.reason or TAKEN, True


def _go_on_unless(stop: Stop) -> None:
    """Raises KeyboardInterrupt if the sweep was ended from outside before anything was handed out."""
    if stop.reason is not None:
        raise KeyboardInterrupt


def _with_recorded_limits(
    experiment: Experiment, given: Collection[str], state: StudyState, watcher: Watcher
) -> Experiment:
    """The experiment with the study's recorded limits, which hold until the file or an option changes them.

    Args:
        experiment: as it is run.
        given: keys of its `search` section that the file or an option names.
        state: the study so far.
        watcher: told the limits.

    Raises:
        ExperimentError: what decides results differs from what the study began with.
    """
    if not state.has_begun:
        return experiment
    check_same_experiment(experiment, state)
    recorded = state.experiment.search
    kept = {name: getattr(recorded, name) for name in ("trials", *LIMITS) if name not in given}
    found = with_search(experiment, kept)
    limits = describe_limits(found.budget, state)
    if limits:
        watcher.note(f"limits  {limits}")
    return found


def _nothing_to_do(experiment: Experiment, state: StudyState) -> SweepResult | None:
    """The result of a session with nothing to do or to write down: a limit is used up, as recorded."""
    if not state.has_begun or state.ended is None or state.is_complete:
        return None
    limit = used_up(experiment.budget, state, state.elapsed_seconds)
    if limit is None or experiment.budget != state.experiment.budget:
        return None
    ended = replace(state.ended, reason=limit.reason)
    return SweepResult(state=state, ended=ended, seconds=0.0, at_fault=False, limit=limit)


def _open_log(paths: StudyPaths, watcher: Watcher) -> EventLog:
    log = EventLog(paths.log)
    if log.repairs:
        rebuild_runs(paths)
    for sentence in log.repairs:
        watcher.note(sentence)
    return log


def _tell_repeats(repeats: int, watcher: Watcher) -> None:
    if repeats:
        watcher.note(
            f"{repeats} suggestions had been tried before; the sampler was asked again instead of training "
            "them twice."
        )


def _is_hurried(stop: Stop, coordinator: Coordinator, ended: StudyEnded | None) -> bool:
    """After a second ctrl-C, even while trackers are written, or one that cut the sweep off."""
    cut_off = ended is None and stop.reason is not None
    return cut_off or (stop.immediately and not coordinator.gave_up)
