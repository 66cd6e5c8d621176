"""Train a trial again from its record, and say whether the same comes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from harness.data.prepare import prepare
from harness.engine.kind import EngineChoice
from harness.errors import DataError, StudyError
from harness.experiment.experiment import Experiment
from harness.machine import usable_cores
from harness.paths import StudyPaths
from harness.records import Dataset, EpochEnded, LogRecord, StudyStarted
from harness.reproducing.comparison import EpochsCompared, compare_epochs
from harness.reproducing.record import TrialRecord, trial_record
from harness.reproducing.surroundings import Changed, all_changes, device_changes
from harness.reproducing.training import train_again
from harness.reproducing.weights import WeightsCompared, compare_weights
from harness.study.state import fold
from harness.study.trial import Trial
from harness.sweeping.engines import ON_THIS_MACHINE
from harness.sweeping.plan import Stop, SweepPlan

TOLERANCE = 1e-3
"""How far numbers may be apart that count as the same within a tolerance."""
ELSEWHERE = (
    "It was trained again on a cluster; what differs in the environment is told of the machine that this "
    "command ran on."
)
SHOWN = 12
"""Digits of a digest that a message tells."""
Verdict: TypeAlias = Literal["identical", "within tolerance", "different"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What came of training a trial again."""

    study: str
    trial: int
    state: str
    """The trial's, when its log was read."""
    verdict: Verdict
    """`identical`: all that was recorded and could be compared is the same to the last bit."""
    tolerance: float
    """The largest difference that counts as within tolerance: of a weight, and of a metric up to 1; of larger
    metrics the largest share."""
    epochs: EpochsCompared
    weights: WeightsCompared | None
    """Of the final model; None for a trial that has none."""
    changed: tuple[Changed, ...]
    """What differs in the environment."""
    notes: tuple[str, ...]
    """Sentences: what was not recorded, what could not be compared, what this machine lacks."""


def reproduce(
    paths: StudyPaths,
    records: Sequence[LogRecord],
    trial: Trial,
    *,
    tolerance: float = TOLERANCE,
    told: Callable[[EpochEnded], None] = lambda _: None,
    stop: Stop | None = None,
    engine: EngineChoice = ON_THIS_MACHINE,
    note: Callable[[str], None] = lambda _: None,
) -> Reproduction:
    """Train a trial again, and compare every epoch's metrics and state, and the final model's weights.

    Nothing of the study is changed, nothing is tracked; the training's files are removed at the end.

    Args:
        paths: of the study.
        records: its event log.
        trial: one of its trials, in any state.
        tolerance: see `Reproduction.tolerance`.
        told: hears of every epoch that is trained.
        stop: set from outside to end it.
        engine: that starts the worker.
        note: told what a person should know while it trains.

    Raises:
        StudyError: nothing is recorded of the trial, or the data is not the recorded one.
        DataError: the data cannot be prepared.
        HarnessError: the trial cannot be trained.
        KeyboardInterrupt: `stop` was set.
    """
    stop = stop or Stop()
    recorded = trial_record(records, trial.number)
    if not recorded.metrics:
        raise StudyError(
            f"Trial {trial.number} of {paths.folder.name} has no whole epoch yet that could be compared"
            f"{f' ({trial.reason})' if trial.reason else ''}."
        )
    state = fold(records)
    experiment = state.experiment
    dataset = _dataset(experiment, state.started, stop)
    notes = _not_recorded(recorded, state.started)
    notes += _cores(recorded) if engine == ON_THIS_MACHINE else [ELSEWHERE]
    with tempfile.TemporaryDirectory(prefix="harness-reproduce-") as folder:
        plan = SweepPlan(
            experiment=experiment, study_folder=Path(folder), dataset=dataset, weights=state.started.weights
        )
        rerun = train_again(trial, recorded, plan, told, stop, engine, note)
        now = trial_record(rerun.records, trial.number)
        epochs = compare_epochs(recorded, now, states=_same_format(recorded, now))
        weights = None
        if recorded.model is not None and now.model is not None:
            weights = compare_weights(recorded.model, paths.folder, now.model, Path(folder))
    if recorded.model is not None and now.model is None:
        notes.append("The training did not come to its end again, so that there is no model to compare.")
    if len(recorded.devices) > 1:
        notes.append(
            f"Its segments were trained on different GPUs ({'; '.join(recorded.devices)}), so that it cannot "
            "be expected to come out the same to the last bit on one of them."
        )
    notes += _not_compared(epochs, weights)
    return Reproduction(
        study=paths.folder.name,
        trial=trial.number,
        state=trial.state,
        verdict=_verdict(epochs, weights, tolerance, whole=recorded.model is None or now.model is not None),
        tolerance=tolerance,
        epochs=epochs,
        weights=weights,
        changed=(
            *all_changes(recorded.sessions, now.sessions),
            *device_changes(recorded.devices, now.devices),
        ),
        notes=tuple(notes),
    )


def _dataset(experiment: Experiment, started: StudyStarted, stop: Stop) -> Dataset:
    """The data that the study was trained on; raises if it is not to be had."""

    def progress(label: str, done: int, total: int) -> None:  # noqa: ARG001 - as a `Progress` is called
        if stop.reason is not None:
            raise KeyboardInterrupt

    try:
        dataset = prepare(experiment.dataset, seed=experiment.seed, progress=progress)
    except DataError as error:
        raise DataError(
            f"{error} The trial can be trained again only with the data that the study {started.study} had, "
            "where it was: a path in an experiment file counts from the working directory."
        ) from error
    recorded = started.dataset
    if dataset.digest != recorded.digest:
        raise StudyError(
            f"The data set {dataset.name} is not the one that {started.study} was trained on: its content "
            f"digest was {recorded.digest[:SHOWN]}…, and is {dataset.digest[:SHOWN]}…. Nothing that is "
            "trained on it could be compared; put the former data back."
        )
    was, now = recorded.split_digests, dataset.split_digests
    differing = [part for part in ("train", "validation") if was.get(part, now[part]) != now[part]]
    if differing:
        part = differing[0]
        raise StudyError(
            f"The data set {dataset.name} is split into other training and validation {dataset.noun}s than "
            f"when {started.study} was trained (the digest of {part} was {was[part][:SHOWN]}…, and is "
            f"{now[part][:SHOWN]}…), so nothing could be compared. Its groups, or the paths that name them, "
            "have changed; or the version of harness or numpy, which were "
            f"{started.versions.get('harness')} and {started.versions.get('numpy')}."
        )
    return dataset


def _not_recorded(recorded: TrialRecord, started: StudyStarted) -> list[str]:
    """What an older version of harness did not write down."""
    notes = []
    if any(session.environment is None for session in recorded.sessions):
        threads = sorted({stretch.setting.threads for stretch in recorded.stretches})
        notes.append(
            f"The version of harness that trained it ({started.versions.get('harness', 'unknown')}) recorded "
            "neither processor, instruction sets and GPUs nor threads. As many threads are taken as its "
            f"workers had by the cores and the workers in the log: {', '.join(map(str, threads))}."
        )
    if not started.dataset.split_digests:
        notes.append("The digests of the split were not recorded; the data itself is the same.")
    return notes


def _cores(recorded: TrialRecord) -> list[str]:
    threads, cores = max(stretch.setting.threads for stretch in recorded.stretches), usable_cores()
    if threads <= cores:
        return []
    return [
        f"Its worker had {threads} threads, and this machine has {cores} core{'s' * (cores != 1)}: it gets "
        "as many threads all the same, since numbers depend on them, and takes longer."
    ]


def _same_format(recorded: TrialRecord, now: TrialRecord) -> bool:
    """Whether checkpoints of the two were written by the same version of harness."""
    versions = {one.versions.get("harness") for one in (*recorded.sessions, *now.sessions)}
    return len(versions) == 1


def _not_compared(epochs: EpochsCompared, weights: WeightsCompared | None) -> list[str]:
    notes = []
    if weights is not None and weights.problem:
        notes.append(weights.problem)
    if weights is not None and not weights.recorded:
        notes.append("The weights of the final model are not known any more, and are not compared.")
    for names, whose in ((epochs.only_recorded, "the record"), (epochs.only_now, "this training")):
        if names:
            notes.append(f"Metrics that only {whose} has are not compared: {', '.join(names)}.")
    return notes


def _verdict(
    epochs: EpochsCompared, weights: WeightsCompared | None, tolerance: float, *, whole: bool
) -> Verdict:
    """What the comparisons come to.

    Args:
        epochs: compared.
        weights: of the final model, compared; None if there is none.
        tolerance: see `Reproduction.tolerance`.
        whole: the training has come to its end if the recorded one has.
    """
    differing_weights = weights is not None and weights.identical is False
    if whole and epochs.all_identical and not differing_weights:
        return "identical"
    if not whole or epochs.recorded != epochs.trained:
        return "different"
    apart = epochs.largest.relative if epochs.largest else 0.0
    if differing_weights:
        assert weights is not None
        apart = max(apart, float("inf") if weights.largest is None else weights.largest)
    return "within tolerance" if apart <= tolerance else "different"
