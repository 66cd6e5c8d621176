"""A sweep from an experiment to its result: open the study, prepare the data, start workers, run, close."""

from __future__ import annotations

import math
import platform
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from harness.clock import now_ms
from harness.data import catalog
from harness.data.prepare import prepare
from harness.data.reference import keep_reference
from harness.engine.calibration import calibrate
from harness.engine.local import LocalEngine, default_workers
from harness.engine.memory import worker_memory
from harness.errors import DataError, ExperimentError, HarnessError, StudyError
from harness.experiment.load import dump, restore
from harness.experiment.parameters import complete, signature
from harness.experiment.schema import Experiment
from harness.experiment.space import defaults
from harness.machine import usable_cores, visible_gpus
from harness.paths import StudyPaths, home, make_folder, study_names, when_there_is_room
from harness.records import Dataset, LogRecord, Progress, StudyEnded, StudyStarted
from harness.sweep.budget import LIMITS, UsedUp, budget_of, used_up
from harness.sweep.budget import describe as describe_limits
from harness.sweep.coordinator import Coordinator, Stop, SweepPlan
from harness.sweep.decisions import AsResultsCome, InOrder
from harness.sweep.event_log import EventLog, read
from harness.sweep.history import History, fold
from harness.sweep.leftovers import tidy_study
from harness.sweep.lock import study_lock
from harness.sweep.names import check_name, new_name
from harness.sweep.pruners import StopOnly, make_pruner
from harness.sweep.scheduler import Asha, FullTraining, Hyperband, Scheduler, Screen
from harness.tracking.check import StoreCheck
from harness.tracking.cursor import make_again
from harness.tracking.follower import Follower, told_once
from harness.tracking.mlflow_experiment import experiment_name
from harness.tracking.trackers import TRACKERS, TrackedStudy

if TYPE_CHECKING:  # Optuna is imported while workers import TensorFlow
    from harness.sweep.sampler import Sampler

UNHURRIED = 20.0, 600.0
"""How long the end of a sweep waits for an MLflow or storage that fails, and for one that is only slow."""
IMBALANCE = 3
"""The largest class over the smallest, from which accuracy is a poor objective."""
HURRIED = 1.5, 1.5
"""The same after a second ctrl-C; `harness sync` or the next resume finishes it."""
ROOM_SECONDS = 1.0
"""How often a full disk is looked at."""
TELL_AGAIN_SECONDS = 60.0
PACKAGES = ("tensorflow", "keras", "mlflow", "optuna", "numpy", "harness")


class Watcher(Protocol):
    """Told what a person would want to see."""

    def progress(self, label: str, done: int, total: int) -> None:
        """A long step of the preparation goes on."""

    def note(self, message: str) -> None:
        """A sentence worth reading."""

    def opened(self, history: History, plan: SweepPlan, workers: int) -> None:
        """The study is open and its workers are starting; `history` stays up to date."""

    def follow(self, record: LogRecord) -> None:
        """Something was written to the event log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """How a sweep ended."""

    history: History
    ended: StudyEnded
    seconds: float
    """Wall time of this session."""
    at_fault: bool
    """The sweep gave up because the network's code fails in every trial."""
    behind: tuple[str, ...] = ()
    """Sentences about views that could not be brought up to date."""
    limit: UsedUp | None = None
    """What keeps the study from going on."""


def run_sweep(
    experiment: Experiment,
    watcher: Watcher,
    *,
    study: str | None = None,
    resume: bool = False,
    workers: int | Literal["auto"] | None = None,
    evaluate_test: bool = False,
    recheck: bool = False,
) -> SweepResult:
    """Run a study to its total of trials, or until it is stopped.

    Args:
        experiment: what to run; `search.trials` is the study's total.
        watcher: told about progress.
        study: the study's name; one that exists is gone on with. None makes a new name.
        resume: the study must exist.
        workers: worker processes, never more than trials; `auto` to measure how many are best; None for what
            the experiment says, and if it says nothing, for one per GPU or core.
        evaluate_test: open the sealed test split when a trial is complete.
        recheck: read all files of the data set again, whatever their sizes and times say.

    Raises:
        HarnessError: with the reason, in sentences.
    """
    began = time.monotonic()
    name = check_name(study) if study else new_name(experiment.name, set(study_names()))
    paths = StudyPaths.of(name)
    if resume and not paths.log.exists():
        raise StudyError(unknown_study(name))
    make_folder(home())
    make_folder(paths.folder)
    stop = Stop()
    with ExitStack() as stack:
        stack.enter_context(study_lock(paths))
        stack.callback(_remove_if_empty, paths)  # while the lock is held: it is nobody else's
        log = _open_log(paths, watcher, stop) if paths.log.exists() else None
        history = fold(log.records) if log else History()
        if log:
            stack.callback(log.close)
            experiment = _taken_up(experiment, history, watcher)
            if (nothing := _nothing_to_do(experiment, history)) is not None:
                return nothing
        tidy_study(paths, history)
        stack.enter_context(_signals(stop))
        total = experiment.search.trials
        wanted = workers or experiment.search.workers or default_workers(total)
        prepared = cache(partial(_prepare_data, experiment, paths, history, watcher, stop, recheck=recheck))
        if wanted == "auto":
            wanted = _measured_workers(experiment, prepared(), watcher, stop)
        # Workers import TensorFlow while everything else is prepared.
        engine = stack.enter_context(_engine(experiment, paths, min(total, wanted)))
        check = StoreCheck(
            TrackedStudy(paths, experiment_name(experiment.name), note=told_once(watcher.note))
        )
        sampler = _make_sampler(experiment, watcher)
        dataset = prepared()
        check.finish()
        if log is None:
            log = _open_log(paths, watcher, stop)
            stack.callback(log.close)
        followers = _followers(check.study, log)
        feeds = [follower.feed for follower in followers]
        opening = _study_started(name, experiment, dataset, history, workers=engine.workers)
        started = log.append(opening, durable=True)
        for follow in (history.apply, watcher.follow, *feeds):
            follow(started)
        plan = _plan(experiment, paths, dataset, history, evaluate_test=evaluate_test)
        watcher.opened(history, plan, engine.workers)
        as_results_come = AsResultsCome(sampler, make_scheduler(experiment), total)
        coordinator = Coordinator(
            plan=plan,
            engine=engine,
            log=log,
            history=history,
            decisions=InOrder(as_results_come, opening.window) if opening.window else as_results_come,
            followers=[watcher.follow, *feeds],
            note=watcher.note,
            stop=stop,
        )
        ended: StudyEnded | None = None
        try:
            ended = coordinator.run()
        finally:
            engine.close()
            behind = _close(log, followers, lambda: _is_hurried(stop, coordinator, ended))
        _tell_repeats(sampler, watcher)
        return SweepResult(
            history=history,
            ended=ended,
            seconds=time.monotonic() - began,
            at_fault=coordinator.gave_up,
            behind=behind,
            limit=coordinator.limit,
        )


def _taken_up(experiment: Experiment, history: History, watcher: Watcher) -> Experiment:
    """The experiment with the study's recorded limits, which hold until the file or an option changes them.

    Raises:
        ExperimentError: what decides results differs from what the study began with.
    """
    if history.study is None:
        return experiment
    _check_same(experiment, history)
    recorded, given = history.study.experiment["search"], experiment.search.model_fields_set
    kept = {name: recorded[name] for name in ("trials", *LIMITS) if name in recorded and name not in given}
    found = experiment.model_copy(update={"search": experiment.search.model_copy(update=kept)})
    limits = describe_limits(budget_of(found.search.model_dump()), history)
    if limits:
        watcher.note(f"limits  {limits}")
    return found


def _nothing_to_do(experiment: Experiment, history: History) -> SweepResult | None:
    """The result of a session with nothing to do or to write down: a limit is used up, as recorded."""
    if history.study is None or history.ended is None or history.ended.complete:
        return None
    budget = budget_of(experiment.search.model_dump())
    limit = used_up(budget, history, history.elapsed)
    if limit is None or budget != budget_of(history.study.experiment["search"]):
        return None
    ended = replace(history.ended, reason=limit.reason)
    return SweepResult(history=history, ended=ended, seconds=0.0, at_fault=False, limit=limit)


def _prepare_data(
    experiment: Experiment,
    paths: StudyPaths,
    history: History,
    watcher: Watcher,
    stop: Stop,
    *,
    recheck: bool,
) -> Dataset:
    """The data, and what should be said about it; raises KeyboardInterrupt on a ctrl-C."""
    told: set[str] = set()

    def tell(sentence: str) -> None:
        if sentence not in told:
            told.add(sentence)
            watcher.note(sentence)

    try:
        dataset = prepare(
            experiment.dataset,
            seed=experiment.seed,
            progress=_progress(watcher, stop),
            recheck=recheck,
            tell=tell,
        )
    except DataError as error:
        raise DataError(f"{error}{_without_source(experiment, history)}") from error
    _check_data(experiment, dataset, history)
    advice = _imbalance(experiment, dataset)
    for sentence in (*dataset.warnings, *([advice] if advice else [])):
        tell(sentence)
    _keep_reference(paths, dataset, watcher, stop)
    return dataset


def _keep_reference(paths: StudyPaths, dataset: Dataset, watcher: Watcher, stop: Stop) -> None:
    """What an export needs when the prepared data is gone."""
    try:
        when_there_is_room(
            lambda: keep_reference(paths.reference, dataset),
            _wait_for_room(watcher, stop, "the study's reference images"),
        )
    except OSError as error:
        raise HarnessError(
            f"The study's reference images cannot be written to {paths.reference}: {error.strerror or error}."
        ) from error


@contextmanager
def _engine(experiment: Experiment, paths: StudyPaths, workers: int) -> Iterator[LocalEngine]:
    """An engine whose workers are starting; they end with it."""
    search, gpus = experiment.search, visible_gpus()
    memory = worker_memory(workers, len(gpus), search.worker_memory, search.data_memory)
    with closing(LocalEngine(paths, workers, gpus, memory)) as engine:
        engine.start()
        yield engine


def _measured_workers(experiment: Experiment, dataset: Dataset, watcher: Watcher, stop: Stop) -> int:
    """The number of workers that train a typical configuration fastest; KeyboardInterrupt on a ctrl-C."""
    params = complete(defaults(experiment.compiled_space()))
    measured = calibrate(
        params,
        signature(params),
        dataset.image_shape,
        len(dataset.classes),
        experiment.training.precision,
        _progress(watcher, stop),
    )
    rates = ", ".join(f"{count}: {rate:,.0f}" for count, rate in sorted(measured.rates.items()))
    when = "measured before" if measured.known else "measured"
    watcher.note(f"workers: {measured.workers} (images a second by number of workers, {when}: {rates})")
    return measured.workers


def _progress(watcher: Watcher, stop: Stop) -> Progress:
    def progress(label: str, done: int, total: int) -> None:
        if stop.reason is not None:
            raise KeyboardInterrupt
        watcher.progress(label, done, total)

    return progress


def _open_log(paths: StudyPaths, watcher: Watcher, stop: Stop) -> EventLog:
    log = EventLog(paths.log, when_full=_wait_for_room(watcher, stop))
    if log.repairs:
        make_again(paths)
    for sentence in log.repairs:
        watcher.note(sentence)
    return log


def _make_sampler(experiment: Experiment, watcher: Watcher) -> Sampler:
    """The sampler, with what it learns from other studies."""
    from harness.sweep.sampler import Sampler

    sampler = Sampler(
        experiment.compiled_space(),
        experiment.search.sampler,
        experiment.seed,
        maximize=[larger for _, larger in experiment.objectives()],
        start_with=experiment.start_with,
    )
    for other in experiment.search.warm_start:
        watcher.note(_warm_start(sampler, experiment, other))
    return sampler


def _followers(tracked: TrackedStudy, log: EventLog) -> list[Follower]:
    """What follows the event log, and already knows what it holds."""
    followers = [
        Follower(
            partial(kind.make, tracked),
            kind.name,
            durable=lambda: log.durable,
            replay=lambda: read(tracked.paths.log),
            note=tracked.note,
        )
        for kind in TRACKERS
    ]
    for record in log.records:
        for follower in followers:
            follower.feed(record)
    return followers


def _close(log: EventLog, followers: list[Follower], hurried: Callable[[], bool]) -> tuple[str, ...]:
    """Let the views catch up; sentences about those that could not."""
    log.sync()
    results = [follower.close(lambda: HURRIED if hurried() else UNHURRIED) for follower in followers]
    return tuple(result.message for result in results if not result.caught_up)


def _is_hurried(stop: Stop, coordinator: Coordinator, ended: StudyEnded | None) -> bool:
    """After a second ctrl-C, even while the views are written, or one that cut the sweep off."""
    cut_off = ended is None and stop.reason is not None
    return cut_off or (stop.now and not coordinator.gave_up)


def _tell_repeats(sampler: Sampler, watcher: Watcher) -> None:
    if sampler.repeats:
        watcher.note(
            f"{sampler.repeats} suggestions had been tried before; the sampler was asked again instead of "
            "training them twice."
        )


def _plan(
    experiment: Experiment, paths: StudyPaths, dataset: Dataset, history: History, *, evaluate_test: bool
) -> SweepPlan:
    search = experiment.search
    return SweepPlan(
        study_folder=paths.folder,
        dataset=dataset,
        seed=experiment.seed,
        trials=search.trials,
        max_epochs=experiment.training.epochs,
        precision=experiment.training.precision,
        objectives=experiment.objectives(),
        limits={str(name): limit for name, limit in experiment.limits.items()},
        generation=history.generation,
        budget=budget_of(search.model_dump()),
        max_trial_seconds=search.max_trial_seconds,
        hang_seconds=search.hang_seconds,
        evaluate_test=evaluate_test,
        plugin=experiment.model is not None,
    )


def make_scheduler(experiment: Experiment) -> Scheduler:
    """The scheduler that the experiment names."""
    config, epochs = experiment.scheduler, experiment.training.epochs
    if config.kind == "none":
        return FullTraining(epochs)
    if config.kind == "screen":
        return Screen(config.min_epochs, epochs, config.keep)
    if config.kind == "hyperband":
        return Hyperband(config.min_epochs, epochs, config.reduction)
    if config.kind == "asha":
        return Asha(config.min_epochs, epochs, config.reduction)
    maximize = experiment.objective.direction == "maximize"
    return StopOnly(make_pruner(config), config.min_epochs, epochs, maximize=maximize)


def unknown_study(name: str) -> str:
    """The sentence for a study that does not exist."""
    names = study_names()
    known = f"Studies here: {', '.join(names[-8:])}." if names else "There is no study here yet."
    return f"There is no study called {name!r} in {home()}. {known}"


def _wait_for_room(watcher: Watcher, stop: Stop, what: str = "the event log") -> Callable[[OSError], None]:
    """What to do while the study's disk is full: say so, and wait, unless the sweep is to end."""
    told = -math.inf

    def wait(error: OSError) -> None:
        nonlocal told
        if stop.reason is not None:
            raise HarnessError(
                f"{what.capitalize()} cannot be written: {error.strerror}. Make room, then resume the study; "
                "all that was written before is intact."
            ) from error
        if time.monotonic() - told > TELL_AGAIN_SECONDS:
            told = time.monotonic()
            watcher.note(
                f"The sweep waits: {what} cannot be written ({error.strerror}). Make room and it goes on."
            )
        time.sleep(ROOM_SECONDS)

    return wait


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """First ctrl-C, SIGTERM or hang-up: finish the running epochs. Second: stop at once.

    Whoever wants a sweep to outlive its terminal starts it with `nohup`, which has hang-ups ignored.
    """

    def on_signal(number: int, _: FrameType | None) -> None:
        if stop.reason is None:
            stop.reason = "interrupted" if number == signal.SIGINT else "terminated"
        else:
            stop.now = True

    answered = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        answered.append(signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in answered}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _remove_if_empty(paths: StudyPaths) -> None:
    """A study that never began leaves no trace."""
    if paths.log.exists() or not paths.folder.exists():
        return
    for entry in sorted(paths.folder.rglob("*"), reverse=True):
        if entry.is_dir():
            entry.rmdir()
        else:
            entry.unlink()
    paths.folder.rmdir()


def _check_same(experiment: Experiment, history: History) -> None:
    """What decides results must not change under a study's feet."""
    assert history.study is not None
    name = history.study.study
    # An older study says nothing of what there was no choice of yet.
    before, now = dump(restore(history.study.experiment)), dump(experiment)
    changed = [
        key
        for key in ("dataset", "training", "objective", "also", "limits", "scheduler", "seed")
        if before.get(key) != now.get(key)
    ]
    if bool(history.study.window) != experiment.search.ordered:
        how = "with" if history.study.window else "without"
        raise ExperimentError(
            f"The study {name!r} was started {how} --ordered and can only go on like that. Go on with: "
            f"harness resume {name}"
        )
    if changed:
        raise ExperimentError(
            f"The study {name!r} was started with another experiment: {', '.join(changed)} differ. "
            f"Go on with the recorded one by `harness resume {name}`, or choose another --study name."
        )


def _check_data(experiment: Experiment, dataset: Dataset, history: History) -> None:
    searching = experiment.search.trials > 1
    if searching and experiment.objective.metric.startswith("val_") and not dataset.counts["validation"]:
        raise ExperimentError(
            f"The objective {experiment.objective.metric} needs validation images, but "
            "dataset.validation_fraction is 0. Set it to 0.1, for example."
        )
    if history.study is not None and history.study.dataset.digest != dataset.digest:
        raise StudyError(
            f"The data set {dataset.name} has changed since this study began (its content digest differs), "
            "so its trials could not be compared. Start a new study."
        )


def _warm_start(sampler: Sampler, experiment: Experiment, name: str) -> str:
    """Teach the sampler what another study found; says how much that was."""
    paths = StudyPaths.of(check_name(name))
    if not paths.log.exists():
        raise StudyError(f"search.warm_start: {unknown_study(name)}")
    other = fold(read(paths.log))
    theirs = other.study.experiment if other.study else {}
    mine = dump(experiment)
    if [theirs.get(key) for key in ("objective", "also")] != [mine[key] for key in ("objective", "also")]:
        raise StudyError(
            f"search.warm_start: the study {name} had other objectives, so it cannot be compared."
        )
    learned = sampler.learn(other)
    return f"warm start: {learned} of the {len(other.trials)} trials of {name} fit the space"


def _without_source(experiment: Experiment, history: History) -> str:
    """What can be done with a study that has begun if its data set is not there any more; else nothing."""
    source = experiment.dataset.source
    if history.study is None or source in catalog.NAMES or Path(source).expanduser().exists():
        return ""
    name = history.study.study
    advice = f" Put it back where the study {name} found it, then: harness resume {name}."
    if any(trial.model for trial in history.trials.values()):
        advice += f" Models that are trained can be exported without it: harness export --study {name}"
    return advice


def _imbalance(experiment: Experiment, dataset: Dataset) -> str | None:
    """Advice, where accuracy would reward ignoring rare classes."""
    counts = sorted((count, name) for name, count in dataset.class_counts.items())
    (fewest, rare), (most, common) = counts[0], counts[-1]
    if experiment.objective.metric != "val_accuracy" or most < IMBALANCE * max(fewest, 1):
        return None
    return (
        f"The data set is imbalanced ({common}: {most:,} images, {rare}: {fewest:,}), so accuracy says "
        "little about rare classes. Consider --set objective.metric=val_f1_macro, and see the experiment "
        "`imbalanced`."
    )


def _study_started(
    name: str, experiment: Experiment, dataset: Dataset, history: History, workers: int
) -> StudyStarted:
    # The window belongs to the study: with other workers it goes on in the order it began in.
    window = history.study.window if history.study else workers if experiment.search.ordered else 0
    return StudyStarted(
        study=name,
        study_id=history.study.study_id if history.study else uuid.uuid4().hex,
        session=history.sessions + 1,
        experiment=dump(experiment),
        dataset=dataset,
        seed=experiment.seed,
        trials=experiment.search.trials,
        versions={package: _version(package) for package in PACKAGES},
        host=_host(),
        git_commit=_git_commit(Path.cwd()),
        window=window,
        time=now_ms(),
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _host() -> dict[str, Any]:
    return {
        "name": socket.gethostname(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": usable_cores(),
    }


def _git_commit(folder: Path) -> str | None:
    """The commit of the repository that `folder` is in, with `+changes` if the tree is dirty."""

    def git(*arguments: str) -> str:
        found = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return found.stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return f"{commit}+changes" if git("status", "--porcelain", "-uno") else commit
    except (OSError, subprocess.SubprocessError):
        return None
