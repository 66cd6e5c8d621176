"""What contradicts a study's state in its runs and models in MLflow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from harness.records import EnsembleSaved
from harness.study.state import StudyState, best
from harness.study.trial import Trial
from harness.tracking.mlflow_reader import Point, TrackedRun
from harness.tracking.mlflow_runs import ensemble_key, key_in_words
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
    ensembles = {key: one for one in state.ensembles if (key := ensemble_key(one.number)) not in deleted}
    expected = {trial.number: _points(trial) for trial in tracked}
    expected |= {key: _points_of_ensemble(state, one) for key, one in ensembles.items()}
    without_model = [run.trial for run in runs if run.model_deleted and run.trial is not None]
    return Audit(
        values=Findings(
            tuple(_values(expected, by_trial)),
            tuple(f"the run of {key_in_words(key)} was deleted in MLflow" for key in sorted(deleted)),
        ),
        models=Findings(
            tuple(_models(tracked, ensembles, by_trial)),
            tuple(f"the model of {key_in_words(key)} was deleted in MLflow" for key in without_model),
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


def _values(expected: Mapping[int, list[Point]], runs: Mapping[int, Sequence[TrackedRun]]) -> list[str]:
    problems: list[str] = []
    for key, points in expected.items():
        found, wanted = Counter(point for run in runs.get(key, []) for point in run.points), Counter(points)
        for what, difference in (("lacks", wanted - found), ("has too much", found - wanted)):
            if difference:
                some = ", ".join(f"{name}@{step}={value:g}" for name, step, value in list(difference)[:SHOWN])
                problems.append(f"{key_in_words(key)}: MLflow {what}: {some} ({difference.total()} in all)")
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


def _points_of_ensemble(state: StudyState, ensemble: EnsembleSaved) -> list[Point]:
    """What MLflow should hold of an ensemble."""
    points = [(f"final_val_{name}", 0, value) for name, value in ensemble.evaluation.metrics.items()]
    opening = state.ensemble_openings.get(ensemble.number)
    if opening is not None and opening.evaluation is not None:
        points += [(f"test_{name}", 0, value) for name, value in opening.evaluation.metrics.items()]
    return [*points, ("score", 0, ensemble.score)]


def _models(
    trials: Sequence[Trial],
    ensembles: Mapping[int, EnsembleSaved],
    runs: Mapping[int, Sequence[TrackedRun]],
) -> list[str]:
    problems: list[str] = []
    for trial in trials:
        own = runs.get(trial.number, [])
        problems += _one_run(trial.number, own)
        if trial.state == "complete":
            problems += _finished(trial.number, own, trial.model.sha256 if trial.model else None)
    for key, ensemble in ensembles.items():
        own = runs.get(key, [])
        problems += [*_one_run(key, own), *_finished(key, own, ensemble.sha256)]
    return problems


def _one_run(key: int, own: Sequence[TrackedRun]) -> list[str]:
    return [] if len(own) == 1 else [f"{key_in_words(key)} has {len(own)} runs in MLflow"]


def _finished(key: int, own: Sequence[TrackedRun], sha256: str | None) -> list[str]:
    """What is wrong with the run and the model of what is complete."""
    name = key_in_words(key)
    problems = (
        [f"the run of {name} is {own[0].status}"] if any(run.status != "FINISHED" for run in own) else []
    )
    if sha256 is None or any(run.model_deleted for run in own):
        return problems
    in_mlflow = [found for run in own for found in run.models]
    if len(in_mlflow) != 1:
        problems.append(f"{name} has {len(in_mlflow)} models in MLflow")
    if any(found != sha256 for found in in_mlflow):
        problems.append(f"the model of {name} in MLflow is missing or was changed")
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
