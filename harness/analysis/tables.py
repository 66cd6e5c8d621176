"""The leaderboard: trials in rows, best first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.experiment.parameters import applies, known_parameter
from harness.metrics import METRICS, VALIDATION

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.findings import Noise
    from harness.study.state import StudyState
    from harness.study.trial import Trial

_ORDER = {"complete": 0, "paused": 1, "pruned": 1, "running": 2, "waiting": 3, "failed": 4}
WORTH = ("tied", "images_needed")
"""Columns on what the validation images say of scores."""
TEST = "test_"
"""What stands before a metric's name where it is that of the test images."""
SHOWN = tuple(f"{VALIDATION}{name}" for name, metric in METRICS.items() if metric.in_tables)


@dataclass(frozen=True, slots=True)
class Ranking:
    """A leaderboard without pandas, which takes as long to import as a large study takes to rank."""

    columns: list[str]
    rows: list[dict[str, Any]]
    """Values by column, None where there is none."""


def leaderboard(state: StudyState, noise: Noise | None = None, *, top: int | None = None) -> pd.DataFrame:
    """`ranking` as a pandas table."""
    import pandas as pd

    found = ranking(state, noise, top=top)
    frame = pd.DataFrame(found.rows, columns=found.columns)
    # Where a parameter has no effect its cell is empty; the others must not turn into fractions for that.
    known = {name: known_parameter(name, state.experiment.model) for name in found.columns}
    whole = [name for name, parameter in known.items() if parameter is not None and parameter.kind == "int"]
    return frame.astype(dict.fromkeys(["parameters", *(WORTH[1:] if noise else ()), *whole], "Int64"))


def ranking(state: StudyState, noise: Noise | None = None, *, top: int | None = None) -> Ranking:
    """Every trial with its score, metrics at its last epoch, cost, and the parameters that vary.

    Complete trials come first, and with them others that have all folds; then those that were stopped or
    wait, then the rest; within each by score, and of equals the one that was started first. A trial without a
    finite score is never above one that has it.

    Args:
        state: of the study.
        noise: what the validation images say of its scores; None if that is not known.
        top: only the best so many rows.

    Returns:
        One row for each trial with the columns `rank`, `trial`, `state`, `score` (with folds their mean, then
        its `standard_error` and how many `folds` it is of), the metrics, `epochs`, `seconds`, `parameters`
        (the number of weights), then one for each varying parameter. With several objectives, the further
        ones stand behind the score, and `pareto` says whether the trial is on the Pareto front. With `noise`,
        `tied` says whether the validation images cannot tell the trial from the best one, and `images_needed`
        how many would. Where the test set was opened, a column `test_…` behind the score holds the score on
        it of the trials for which it was. Where a trial has failed, the last column, `reason`, says why.
    """

    def key(trial: Trial) -> tuple[int, int, float, int]:
        upwards = 0.0 if trial.score is None else state.objective.larger_is_better(trial.score)
        order = _ORDER["complete" if trial.all_folds and not trial.failure else trial.state]
        return (order, trial.score is None, -upwards, trial.number)

    ranked = sorted(state.trials.values(), key=key)[:top]
    further = further_objectives(state)
    metrics = [name for name in _metrics_of(state) if name not in further]
    objectives = [*further, "pareto"] if further else []
    folds = ["standard_error", "folds"] if state.folds.parts else []
    tested = [column_of_test(state)] if state.openings else []
    reason = ["reason"] if any(trial.failure and trial.reason for trial in ranked) else []
    varying = _varying(state)
    worth = list(WORTH) if noise else []
    first = ["rank", "trial", "state", "score", *folds, *worth[:1], *tested, *objectives]
    columns = [*first, *metrics, "epochs", "seconds", "parameters", *worth[1:], *varying, *reason]
    columns = list(dict.fromkeys(columns))
    front = {trial.number for trial in pareto_front(state)} if further else set()
    rows = []
    for rank, trial in enumerate(ranked, start=1):
        row = _row(rank, trial, metrics, varying)
        if further:
            row |= {name: trial.last_metrics.get(name) for name in further}
            row["pareto"] = trial.number in front
        if noise:
            compared = trial.number in noise.needed
            row["tied"] = trial.number in noise.tied if compared else None
            row["images_needed"] = noise.needed[trial.number] if compared else None
        row |= {name: score_on_test(trial, name.removeprefix(TEST)) for name in tested}
        row["reason"] = trial.reason if trial.failure else None
        rows.append({name: row[name] for name in columns})
    return Ranking(columns, rows)


def column_of_test(state: StudyState) -> str:
    """The name of the column with scores on the test images: the objective's metric, or else the accuracy."""
    name = state.objective.name
    return f"{TEST}{name.removeprefix(VALIDATION) if name.startswith(VALIDATION) else 'accuracy'}"


def score_on_test(trial: Trial, metric: str) -> float | None:
    """A metric of the trial's model on the test images; None if they were not opened for it."""
    found = [one.metrics.get(metric) for one in trial.evaluations if one.split == "test"]
    return found[0] if found else None


def further_objectives(state: StudyState) -> list[str]:
    """The metrics beside the first objective."""
    return [one.name for one in state.experiment.objectives[1:]]


def pareto_front(state: StudyState) -> list[Trial]:
    """Complete trials that no other complete trial equals or beats in every objective and beats in one."""
    objectives = state.experiment.objectives
    scored = [
        (
            trial,
            [one.larger_is_better(value) for one, value in zip(objectives, trial.values, strict=True)],
        )
        for trial in state.trials.values()
        if trial.state == "complete" and trial.values is not None and len(trial.values) == len(objectives)
    ]

    # Whoever beats a trial comes before it in this order, and so does one of the front that beats it too.
    front: dict[int, list[float]] = {}
    for trial, values in sorted(scored, key=lambda one: one[1], reverse=True):
        if not any(
            other != values and all(theirs >= mine for theirs, mine in zip(other, values, strict=True))
            for other in front.values()
        ):
            front[trial.number] = values
    return [trial for trial, _ in scored if trial.number in front]


def _row(rank: int, trial: Trial, metrics: list[str], varying: list[str]) -> dict[str, Any]:
    at_last = trial.last_metrics
    parameters = trial.model.parameters if trial.model else trial.measured.get("parameters")
    return {
        "rank": rank,
        "trial": trial.number,
        "state": trial.state if trial.failure is None else f"failed: {trial.failure}",
        "score": trial.score,
        "standard_error": trial.standard_error,
        "folds": trial.folds.finished(trial.reached),
        **{name: at_last.get(name) for name in metrics},
        "epochs": trial.last_epoch,
        "seconds": round(trial.seconds, 2),
        "parameters": None if parameters is None else int(parameters),
        **{
            name: trial.params.get(name)
            if "family" not in trial.params or applies(name, trial.params)
            else None
            for name in varying
        },
    }


def _metrics_of(state: StudyState) -> list[str]:
    """The usual validation metrics, less the objective, which is the score."""
    return [name for name in SHOWN if name != state.objective.name]


def _varying(state: StudyState) -> list[str]:
    """Parameters that have more than one value in this study, in the catalog's order."""
    values: dict[str, set[Any]] = {}
    for trial in state.trials.values():
        for name, value in trial.params.items():
            values.setdefault(name, set()).add(value)
    return [name for name, found in values.items() if len(found) > 1]
