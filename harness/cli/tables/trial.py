"""One trial in full."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.cli.tables.columns import column, print_columns
from harness.cli.tables.evaluation import print_evaluation
from harness.cli.tables.json_text import print_json
from harness.cli.tables.judgement import interval_text, print_judgement
from harness.cli.tables.lines import figure, print_pairs
from harness.cli.tables.session import print_session, session_dict
from harness.experiment.parameters import applies

if TYPE_CHECKING:
    from harness.analysis.image_by_image import ImageByImage
    from harness.records import StudyStarted
    from harness.study.trial import Trial

IMPORTANCE = {
    **dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), 1),
    "val_f1_macro": 2,
    **dict.fromkeys(("learning_rate", "epoch_seconds"), 4),
    **dict.fromkeys(("val_precision_macro", "val_recall_macro", "val_balanced_accuracy"), 5),
    **dict.fromkeys(("val_top5_accuracy", "val_auroc_macro", "images_per_second"), 5),
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


def print_trial(
    trial: Trial,
    objective: str,
    test_set: str,
    session: StudyStarted,
    judged: ImageByImage | None = None,
    *,
    as_json: bool,
) -> None:
    """Print parameters, epochs, evaluations, what single images say, what it was run with, and failure.

    Args:
        trial: to be shown.
        objective: the metric by which trials are ranked; its column is always shown.
        test_set: how often the test set of the study was opened, in words; it stands beside a test score.
        session: the latest one of its study.
        judged: what its predictions for the validation images say; None if they are not stored.
        as_json: everything, for programs; without it, parameters without effect on the trial are left out.
    """
    if as_json:
        found = {_PRINTED.get(name, name): value for name, value in asdict(trial).items()}
        found |= {"test_set": test_set, "session": session_dict(session)}
        print_json(found | {"image_by_image": asdict(judged) if judged else None})
        return
    print_pairs(
        {
            "trial": str(trial.number),
            "state": trial.state + (f" ({trial.reason})" if trial.reason else ""),
            "score": _score(trial, judged, session.dataset.noun),
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
        print_evaluation(evaluation, test_set, judged if evaluation.split == "validation" else None)
    if judged:
        print()
        print_judgement(judged, objective, session.dataset.noun)
    print()
    print_session(session)
    if trial.traceback:
        print()
        print(trial.traceback)


def _score(trial: Trial, judged: ImageByImage | None, noun: str) -> str:
    if trial.score is None:
        return "–"
    if trial.standard_error is not None:
        ended = trial.folds.finished(trial.reached)
        return f"{trial.score:.4f} (mean of {ended} folds, standard error {trial.standard_error:.4f})"
    if judged is None or judged.score is None:
        return f"{trial.score:.4f}"
    return f"{trial.score:.4f}  (95 %: {interval_text(judged.score)} over other {noun}s)"


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
