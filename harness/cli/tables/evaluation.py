"""How a model does on the splits it was evaluated on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.cli.tables.columns import Column, fits, print_columns
from harness.cli.tables.judgement import interval_text
from harness.cli.tables.lines import print_text

if TYPE_CHECKING:
    from harness.analysis.image_by_image import ImageByImage
    from harness.records import Evaluation

SMALL_CONFUSION = 20
"""Classes up to which a confusion matrix is printed."""
LEAST_NAME = 3
"""Characters to which the names above a confusion matrix may be shortened."""
LEAST_CLASS = 12
"""Characters to which names of classes at the left of a table may be shortened."""


def print_evaluation(evaluation: Evaluation, test_set: str = "", judged: ImageByImage | None = None) -> None:
    """Print how one split was classified.

    Args:
        evaluation: of the split.
        test_set: how often the test set was opened, in words; it is told with an evaluation of it.
        judged: what single images say of the trial; None if it is not known. With it, there are 95 %
            intervals by class.
    """
    figures = "  ".join(f"{name} {value:.4f}" for name, value in evaluation.metrics.items())
    print_text(figures, f"{evaluation.split}: ")
    if evaluation.split == "test" and test_set:
        print_text(test_set)
    classes = [str(row["class"]) for row in evaluation.per_class]
    first = Column(name="class", cells=classes, least=LEAST_CLASS)
    scores = [
        # Of a class without any image in the split nothing is known.
        Column(
            name=key,
            cells=[f"{row[key]:.3f}" if row["support"] else "–" for row in evaluation.per_class],
            right=True,
        )
        for key in ("precision", "recall", "f1")
    ]
    intervals = {
        "precision (95 %)": [one.precision for one in judged.classes] if judged else [],
        "recall (95 %)": [one.recall for one in judged.classes] if judged else [],
    }
    where = [
        Column(name=name, cells=list(map(interval_text, found)), importance=1)
        for name, found in intervals.items()
        if found
    ]
    support = Column(name="support", cells=[str(row["support"]) for row in evaluation.per_class], right=True)
    print_columns([first, *scores, support, *where], elsewhere="--json")
    print_confusion(evaluation.confusion, classes)


def print_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> None:
    """Print a confusion matrix unless there are many classes; its rows are true classes."""
    if len(classes) > SMALL_CONFUSION:
        return
    columns = [Column(name="true \\ predicted", cells=classes, least=LEAST_CLASS)]
    for index, name in enumerate(classes):
        cells = [str(counts[index]) for counts in confusion]
        least = max(LEAST_NAME, *map(len, cells))
        columns.append(Column(name=name, cells=cells, right=True, least=least))
    if fits(columns):
        print_columns(columns, elsewhere="--json")
    else:
        print("The confusion matrix is too wide for this terminal; --json has it.", file=sys.stderr)
