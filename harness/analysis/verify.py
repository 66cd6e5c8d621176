"""Whether the event log, Optuna's storage, MLflow and the files of a study agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.paths import StudyPaths, sha256_of
from harness.records import (
    CheckpointDamaged,
    EpochEnded,
    LogRecord,
    SegmentStarted,
    StudyStarted,
    TrialEnded,
)
from harness.sweep.history import History, TrialHistory, best, fold
from harness.tracking.audit import Point, TrackedRun

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One property of a study, and what contradicts it."""

    name: str
    about: str
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What somebody has chosen to be so: it contradicts nothing."""


def verify(
    paths: StudyPaths,
    records: Sequence[LogRecord],
    runs: Sequence[TrackedRun],
    states: dict[int, str],
    is_locked: Callable[[], bool],
    workers: Sequence[int],
    load_error: Callable[[Path], str],
) -> list[Check]:
    """Check a study that is not running.

    Args:
        paths: of the study.
        records: its event log.
        runs: what MLflow holds.
        states: what Optuna's storage holds.
        is_locked: whether a coordinator holds the study.
        workers: process ids of workers of the study that are alive.
        load_error: why a model file does not load, or nothing.
    """
    history = fold(records)
    by_trial: dict[int, list[TrackedRun]] = {}
    for run in runs:
        if run.trial is not None and not run.deleted:
            by_trial.setdefault(run.trial, []).append(run)
    deleted = {run.trial for run in runs if run.deleted and run.trial is not None} - by_trial.keys()
    tracked = [trial for trial in history.trials.values() if trial.number not in deleted]
    parents = [run for run in runs if run.trial is None]
    return [
        Check("V1", "every trial has exactly one end", tuple(_ends(history, records))),
        Check(
            "V2",
            "MLflow has every value of the log once, and no other",
            tuple(_values(tracked, by_trial)),
            tuple(f"the run of trial {number} was deleted in MLflow" for number in sorted(deleted)),
        ),
        Check(
            "V3",
            "every complete trial has one finished run and its model, which is unchanged and loads",
            (*_tracked_models(tracked, by_trial), *_model_files(paths, history, load_error)),
            tuple(
                f"the model of trial {run.trial} was deleted in MLflow"
                for run in runs
                if run.model_deleted and run.trial is not None
            ),
        ),
        Check(
            "V4",
            "nothing is running or left over",
            tuple(_leftovers(paths, history, runs, states, locked=is_locked(), workers=workers)),
        ),
        Check("V5", "all agree on states and on the best trial", tuple(_agreement(history, parents, states))),
        Check("V6", "at most one epoch was trained twice for each interruption", tuple(_repeats(records))),
    ]


def _ends(history: History, records: Sequence[LogRecord]) -> list[str]:
    ends = Counter(record.event.trial for record in records if isinstance(record.event, TrialEnded))
    problems = [f"trial {trial} ended {count} times" for trial, count in sorted(ends.items()) if count > 1]
    complete = history.ended is not None and history.ended.complete
    if complete:
        problems += [f"trial {number} never ended" for number in history.trials if number not in ends]
    if list(history.trials) != list(range(len(history.trials))):
        problems.append("trial numbers have gaps")
    asked = max((r.event.trials for r in records if isinstance(r.event, StudyStarted)), default=0)
    if len(history.trials) > asked:
        problems.append(f"there are {len(history.trials)} trials, but only {asked} were asked for")
    return problems


def _values(trials: Sequence[TrialHistory], runs: dict[int, list[TrackedRun]]) -> list[str]:
    problems: list[str] = []
    for trial in trials:
        found = Counter(point for run in runs.get(trial.number, []) for point in run.points)
        expected = Counter(_points(trial))
        for what, difference in (("lacks", expected - found), ("has too much", found - expected)):
            if difference:
                some = ", ".join(f"{name}@{step}={value:g}" for name, step, value in list(difference)[:SHOWN])
                problems.append(f"trial {trial.number}: MLflow {what}: {some} ({difference.total()} in all)")
    return problems


def _points(trial: TrialHistory) -> list[Point]:
    """What MLflow should hold of a trial."""
    points = [
        (name, epoch, value)
        for epoch, metrics in trial.epochs.items()
        for name, value in metrics.items()
        if math.isfinite(value)
    ]
    points += [(name, 0, value) for name, value in trial.measured.items()]
    for evaluation in trial.evaluations:
        prefix = "test" if evaluation.split == "test" else "final_val"
        points += [(f"{prefix}_{name}", trial.reached, value) for name, value in evaluation.metrics.items()]
    if trial.ended is not None and trial.score is not None:
        points.append(("score", max(trial.epochs, default=0), trial.score))
    return points


def _tracked_models(trials: Sequence[TrialHistory], runs: dict[int, list[TrackedRun]]) -> list[str]:
    problems: list[str] = []
    for trial in trials:
        own = runs.get(trial.number, [])
        if len(own) != 1:
            problems.append(f"trial {trial.number} has {len(own)} runs in MLflow")
        if trial.state != "complete":
            continue
        if any(run.status != "FINISHED" for run in own):
            problems.append(f"the run of trial {trial.number} is {own[0].status}")
        if trial.model is None or any(run.model_deleted for run in own):
            continue
        in_mlflow = [sha256 for run in own for sha256 in run.models]
        if len(in_mlflow) != 1:
            problems.append(f"trial {trial.number} has {len(in_mlflow)} models in MLflow")
        if any(sha256 != trial.model.sha256 for sha256 in in_mlflow):
            problems.append(f"the model of trial {trial.number} in MLflow is missing or was changed")
    return problems


def _model_files(paths: StudyPaths, history: History, load_error: Callable[[Path], str]) -> list[str]:
    problems: list[str] = []
    for trial in history.trials.values():
        if trial.state != "complete":
            continue
        if trial.model is None:
            problems.append(f"trial {trial.number} has no model")
            continue
        file = paths.folder / trial.model.file
        if wrong := _wrong(file, trial.model.sha256):
            problems.append(wrong)
        elif reason := load_error(file):
            problems.append(f"{file} does not load: {reason}")
    return problems


def _wrong(file: Path, sha256: str) -> str:
    if not file.is_file():
        return f"{file} is missing"
    return "" if sha256_of(file) == sha256 else f"{file} was changed: its SHA-256 differs"


def _leftovers(
    paths: StudyPaths,
    history: History,
    runs: Sequence[TrackedRun],
    states: dict[int, str],
    *,
    locked: bool,
    workers: Sequence[int],
) -> list[str]:
    problems = [
        f"the MLflow run {run.run_id} is RUNNING"
        for run in runs
        if run.status == "RUNNING" and not run.deleted
    ]
    problems += [f"{file} is unfinished work" for file in sorted(paths.folder.rglob(".tmp-*"))]
    problems += [f"{file} is of no use any more" for file in _needless_checkpoints(paths, history)]
    problems += [f"worker process {worker} is alive" for worker in workers]
    if locked:
        problems.append("a coordinator holds the study's lock")
    if history.ended is None:
        problems.append(f"the last session was cut off; go on with: harness resume {paths.folder.name}")
    if history.ended is not None and history.ended.complete:
        problems += [
            f"Optuna's trial {number} is running" for number, state in states.items() if state == "running"
        ]
    return problems


def _needless_checkpoints(paths: StudyPaths, history: History) -> list[Path]:
    found = {file for trial in history.trials for file in paths.trial(trial).glob("checkpoint-*")}
    needed = {
        paths.folder / checkpoint.file
        for trial in history.trials.values()
        if trial.ended is None
        for checkpoint in trial.checkpoints
    }
    return sorted(found - needed)


def _repeats(records: Sequence[LogRecord]) -> list[str]:
    """Epochs that were known when a segment began again before them."""
    known: dict[int, set[int]] = {}
    problems: dict[tuple[int, int], str] = {}
    for record in records:
        event = record.event
        if isinstance(event, EpochEnded):
            known.setdefault(event.trial, set()).add(event.epoch)
        elif isinstance(event, SegmentStarted):
            again = [epoch for epoch in known.get(event.trial, ()) if epoch > event.start]
            if len(again) > 1:
                problems[event.trial, event.attempt] = (
                    f"attempt {event.attempt} of trial {event.trial} repeated {len(again)} epochs"
                )
        elif isinstance(event, CheckpointDamaged):
            # Its epochs had to be trained again; that is told where it happened.
            problems.pop((event.trial, event.attempt), None)
    return list(problems.values())


def _agreement(history: History, parents: Sequence[TrackedRun], states: dict[int, str]) -> list[str]:
    expected = {
        number: {"complete": "complete", "pruned": "pruned", "failed": "fail"}.get(trial.state, "running")
        for number, trial in history.trials.items()
    }
    problems = [
        f"trial {number} is {expected.get(number, 'unknown')} in the log, "
        f"{states.get(number, 'missing')} in Optuna"
        for number in sorted(expected.keys() | states.keys())
        if expected.get(number) != states.get(number)
    ]
    if any(parent.deleted for parent in parents):
        problems.append("the study's own run was deleted in MLflow")
    elif len(parents) != 1:
        problems.append(f"MLflow has {len(parents)} runs for the study")
    winner = best(history)
    for parent in parents if winner is not None else ():
        assert winner is not None
        told = parent.tags.get("harness.best_trial")
        if told is None or history.trials[int(told)].score != winner.score:
            problems.append(f"the best trial is {winner.number} by the log, {told} in MLflow")
    return problems
