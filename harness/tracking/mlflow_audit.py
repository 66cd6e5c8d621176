"""What contradicts a study's state in its runs and models in MLflow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from harness.study.state import StudyState, best
from harness.study.trial import Trial
from harness.tracking.mlflow_reader import Point, TrackedRun
from harness.tracking.tracker import Audit, Findings

SHOWN = 5
"""Values of a trial that are named in a sentence, at most."""


def compare(state: StudyState, runs: Sequence[TrackedRun]) -> Audit:
    """Compare the study's state with what MLflow holds, which `tracked_runs` has found.

    A trial whose run somebody has deleted, or whose model, is told of in a note and compared no further.
    """
    by_trial: dict[int, list[TrackedRun]] = {}
    for run in runs:
        if run.trial is not None and not run.deleted:
            by_trial.setdefault(run.trial, []).append(run)
    deleted = {run.trial for run in runs if run.deleted and run.trial is not None} - by_trial.keys()
    tracked = [trial for trial in state.trials.values() if trial.number not in deleted]
    without_model = [run.trial for run in runs if run.model_deleted and run.trial is not None]
    return Audit(
        values=Findings(
            tuple(_values(tracked, by_trial)),
            tuple(f"the run of trial {number} was deleted in MLflow" for number in sorted(deleted)),
        ),
        models=Findings(
            tuple(_models(tracked, by_trial)),
            tuple(f"the model of trial {number} was deleted in MLflow" for number in without_model),
        ),
        unfinished=Findings(
            tuple(
                f"the MLflow run {run.run_id} is RUNNING"
                for run in runs
                if run.status == "RUNNING" and not run.deleted
            )
        ),
        states=Findings(tuple(_study_run(state, [run for run in runs if run.trial is None]))),
    )


def _values(trials: Sequence[Trial], runs: Mapping[int, Sequence[TrackedRun]]) -> list[str]:
    problems: list[str] = []
    for trial in trials:
        found = Counter(point for run in runs.get(trial.number, []) for point in run.points)
        expected = Counter(_points(trial))
        for what, difference in (("lacks", expected - found), ("has too much", found - expected)):
            if difference:
                some = ", ".join(f"{name}@{step}={value:g}" for name, step, value in list(difference)[:SHOWN])
                problems.append(f"trial {trial.number}: MLflow {what}: {some} ({difference.total()} in all)")
    return problems


def _points(trial: Trial) -> list[Point]:
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
    if trial.has_ended and trial.score is not None:
        points.append(("score", trial.last_epoch, trial.score))
        if trial.standard_error is not None:
            points.append(("score_standard_error", trial.last_epoch, trial.standard_error))
    return points


def _models(trials: Sequence[Trial], runs: Mapping[int, Sequence[TrackedRun]]) -> list[str]:
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


def _study_run(state: StudyState, own: Sequence[TrackedRun]) -> list[str]:
    """What is wrong with the study's own run, of which there should be one."""
    problems: list[str] = []
    if any(run.deleted for run in own):
        problems.append("the study's own run was deleted in MLflow")
    elif len(own) != 1:
        problems.append(f"MLflow has {len(own)} runs for the study")
    winner = best(state)
    for run in own if winner is not None else ():
        assert winner is not None
        told = run.tags.get("harness.best_trial")
        if told is None or state.trials[int(told)].score != winner.score:
            problems.append(f"the best trial is {winner.number} by the log, {told} in MLflow")
    return problems
