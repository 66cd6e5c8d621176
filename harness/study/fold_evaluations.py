"""How a trial's folds classified their validation images, brought together."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from harness.records import Evaluation


def together(folds: Sequence[Evaluation]) -> Evaluation:
    """One evaluation of all folds: the means of metrics, and the sums of confusion matrices."""
    confusion = [
        [sum(cells) for cells in zip(*rows, strict=True)]
        for rows in zip(*(one.confusion for one in folds), strict=True)
    ]
    predicted = [sum(column) for column in zip(*confusion, strict=True)]
    per_class = []
    for index, known in enumerate(folds[0].per_class):
        hits, support = confusion[index][index], sum(confusion[index])
        per_class.append(
            known
            | {
                "precision": hits / max(predicted[index], 1),
                "recall": hits / max(support, 1),
                "f1": 2 * hits / max(support + predicted[index], 1),
                "support": support,
            }
        )
    return Evaluation(
        split="validation",
        metrics={name: fmean(one.metrics[name] for one in folds) for name in folds[0].metrics},
        per_class=per_class,
        confusion=confusion,
    )
