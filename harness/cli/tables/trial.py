"""One trial in full."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.cli.tables.columns import column, print_columns
from harness.cli.tables.evaluation import print_evaluation
from harness.cli.tables.json_text import print_json
from harness.cli.tables.lines import figure, print_pairs
from harness.experiment.parameters import applies

if TYPE_CHECKING:
    from harness.study.trial import Trial

IMPORTANCE = {
    **dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), 1),
    "val_f1_macro": 2,
    **dict.fromkeys(("learning_rate", "epoch_seconds"), 4),
    **dict.fromkeys(("val_precision_macro", "val_recall_macro", "val_balanced_accuracy"), 5),
    "images_per_second": 5,
}
"""How important metrics are as columns, 1 the most, see `harness.cli.tables.columns.Column`."""
OTHER_METRICS = 3
_PRINTED = {
    "started_ms": "started",
    "ended_ms": "ended",
    "training_complete": "over",
    "space_version": "generation",
}
"""Names in JSON that differ from those of `Trial`: programs read them since version 0.1.0."""


def print_trial(trial: Trial, objective: str, test_set: str, *, as_json: bool) -> None:
    """Print parameters, epochs, evaluations and failure.

    Args:
        trial: to be shown.
        objective: the metric by which trials are ranked; its column is always shown.
        test_set: how often the test set of the study was opened, in words; it stands beside a test score.
        as_json: everything, for programs; without it, parameters without effect on the trial are left out.
    """
    if as_json:
        found = asdict(trial) | {"test_set": test_set}
        print_json({_PRINTED.get(name, name): value for name, value in found.items()})
        return
    print_pairs(
        {
            "trial": str(trial.number),
            "state": trial.state + (f" ({trial.reason})" if trial.reason else ""),
            "score": _score(trial),
            "seed": str(trial.seed),
            "attempts": str(trial.attempts),
            "seconds": f"{trial.seconds:.1f}",
            **({"model": trial.model.file} if trial.model else {}),
        }
    )
    print()
    params = trial.params
    print_pairs(
        {
            name: figure(value)
            for name, value in params.items()
            if "family" not in params or applies(name, params)
        }
    )
    if trial.epochs:
        print()
        _print_epochs(trial, objective)
    for evaluation in trial.shown_evaluations:
        print()
        print_evaluation(evaluation, test_set)
    if trial.traceback:
        print()
        print(trial.traceback)


def _score(trial: Trial) -> str:
    if trial.score is None:
        return "–"
    if trial.standard_error is None:
        return f"{trial.score:.4f}"
    ended = trial.folds.finished(trial.reached)
    return f"{trial.score:.4f} (mean of {ended} folds, standard error {trial.standard_error:.4f})"


def _print_epochs(trial: Trial, objective: str) -> None:
    epochs, folds = trial.epochs, trial.folds
    names = list(next(iter(epochs.values())))
    numbers = sorted(epochs)
    metrics = [
        column(
            name,
            [epochs[number].get(name) for number in numbers],
            importance=0 if name == objective else IMPORTANCE.get(name, OTHER_METRICS),
        )
        for name in names
    ]
    first = [column("epoch", [str(number - folds.before(number)) for number in numbers])]
    if folds.parts:
        of = [folds.fold_of(number) for number in numbers]
        first.insert(0, column("fold", ["all" if fold is None else str(fold + 1) for fold in of]))
    print_columns([*first, *metrics], elsewhere="--json")
