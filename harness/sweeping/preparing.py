"""What a session needs before its workers are given anything: the data, and how many workers are best."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass

from harness.audit.brief import brief, refuse_nothing_to_see
from harness.data.prepare import prepare
from harness.data.reference import keep_reference
from harness.engine.calibration import calibrate
from harness.errors import DataError, HarnessError
from harness.experiment.drawing import typical
from harness.experiment.experiment import Experiment
from harness.experiment.keys import program_key
from harness.paths import StudyPaths, when_there_is_room
from harness.records import Dataset, Progress
from harness.study.state import StudyState
from harness.sweeping.checks import check_data, imbalance, made_for_others, without_source
from harness.sweeping.plan import Stop, Watcher
from harness.sweeping.waiting import wait_for_room


@dataclass(frozen=True, slots=True)
class PreparedData:
    """A data set that is ready to be trained on."""

    dataset: Dataset
    decoding_seconds: float
    """What decoding its images has taken, which is needed only once; 0 if that was done before."""


def prepare_data(
    experiment: Experiment,
    paths: StudyPaths,
    state: StudyState,
    watcher: Watcher,
    stop: Stop,
    *,
    recheck: bool,
) -> PreparedData:
    """Prepare the data set, check it, tell what should be said about it, and keep what an export needs.

    Args:
        experiment: which data set, and how it is split.
        paths: of the study.
        state: the study so far.
        watcher: told about progress and warnings, each once.
        stop: ends the preparation.
        recheck: read all files again, whatever their sizes and times say.

    Raises:
        DataError: the data set cannot be prepared.
        ExperimentError: the objective needs what the data does not have.
        StudyError: the data has changed since the study began.
        KeyboardInterrupt: `stop` was set.
    """
    told: set[str] = set()

    def tell(sentence: str) -> None:
        if sentence not in told:
            told.add(sentence)
            watcher.note(sentence)

    began, progress = time.monotonic(), _CountedProgress(progress_of(watcher, stop))
    try:
        dataset = prepare(
            experiment.dataset,
            seed=experiment.seed,
            progress=progress,
            recheck=recheck,
            tell=tell,
        )
    except DataError as error:
        raise DataError(f"{error}{without_source(experiment, state)}") from error
    decoding_seconds = time.monotonic() - began if progress.told else 0.0
    if decoding_seconds and experiment.budget.timeout is not None:
        tell(
            f"The data set was prepared in {decoding_seconds:.1f} s, which the time limit does not count: "
            "it is done only once."
        )
    check_data(experiment, dataset, state)
    height, width, _ = dataset.image_shape
    advice = made_for_others(experiment, height, width), imbalance(experiment, dataset)
    for sentence in (*dataset.warnings, *filter(None, advice)):
        tell(sentence)
    _audit_in_short(experiment, dataset, state, tell)
    _keep_reference(paths, dataset, watcher, stop)
    return PreparedData(dataset, decoding_seconds)


def _audit_in_short(
    experiment: Experiment, dataset: Dataset, state: StudyState, tell: Callable[[str], None]
) -> None:
    """Say what is wrong with the data as far as that is known for nothing.

    Raises:
        DataError: a study is to begin on images that show nothing.
    """
    found = brief(dataset)
    if not state.has_begun:
        refuse_nothing_to_see(found)
    frames = f" --set dataset.frames={dataset.frames}" if dataset.frames else ""
    sentence = found.sentence(f"harness audit {shlex.quote(experiment.dataset.source)}{frames}")
    if sentence is not None:
        tell(sentence)


def _keep_reference(paths: StudyPaths, dataset: Dataset, watcher: Watcher, stop: Stop) -> None:
    """Keep a few images beside the study, for an export when the prepared data is gone."""
    try:
        when_there_is_room(
            lambda: keep_reference(paths.reference, dataset),
            wait_for_room(watcher.note, stop, f"the study's reference {dataset.noun}s"),
        )
    except OSError as error:
        raise HarnessError(
            f"The study's reference {dataset.noun}s cannot be written to {paths.reference}: "
            f"{error.strerror or error}."
        ) from error


def measured_workers(experiment: Experiment, dataset: Dataset, watcher: Watcher, stop: Stop) -> int:
    """The number of workers that train a typical configuration fastest; KeyboardInterrupt if stopped."""
    params, precision = typical(experiment.space), experiment.training.precision
    measured = calibrate(
        params,
        program_key(params),
        dataset.example_shape,
        len(dataset.classes),
        # What is only then measured needs workers; by now it is known that the processor is made for it.
        "bfloat16" if precision == "auto" else precision,
        progress_of(watcher, stop),
    )
    rates = ", ".join(f"{count}: {rate:,.0f}" for count, rate in sorted(measured.rates.items()))
    when = "measured before" if measured.known else "measured"
    watcher.note(
        f"workers: {measured.workers} ({dataset.noun}s a second by number of workers, {when}: {rates})"
    )
    return measured.workers


@dataclass(slots=True)
class _CountedProgress:
    """Passes on what it is told, and remembers whether it was told anything: whether there was work to do."""

    progress: Progress
    told: bool = False

    def __call__(self, label: str, done: int, total: int) -> None:
        self.told = True
        self.progress(label, done, total)


def progress_of(watcher: Watcher, stop: Stop) -> Progress:
    """What tells the watcher of progress, and raises KeyboardInterrupt once the sweep is to stop."""

    def progress(label: str, done: int, total: int) -> None:
        if stop.reason is not None:
            raise KeyboardInterrupt
        watcher.progress(label, done, total)

    return progress
