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
            "score": "–" if trial.score is None else f"{trial.score:.4f}",
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
        _print_epochs(trial.epochs, objective)
    for evaluation in trial.evaluations:
        print()
        print_evaluation(evaluation, test_set)
    if trial.traceback:
        print()
        print(trial.traceback)


def _print_epochs(epochs: dict[int, dict[str, float]], objective: str) -> None:
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
    print_columns([column("epoch", map(str, numbers)), *metrics], elsewhere="--json")
