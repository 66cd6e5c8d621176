"""Tables that a trial's run keeps as files: how each class was classified, and what it was taken for."""

from __future__ import annotations

import csv
import io

from harness.records import Evaluation


def per_class_csv(evaluation: Evaluation) -> str:
    """Precision, recall, F1 and support of each class."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["class", "precision", "recall", "f1", "support"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(evaluation.per_class)
    return text.getvalue()


def confusion_csv(evaluation: Evaluation) -> str:
    """Rows are true classes, columns predicted ones."""
    names = [row["class"] for row in evaluation.per_class]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true \\ predicted", *names])
    writer.writerows([name, *row] for name, row in zip(names, evaluation.confusion, strict=True))
    return text.getvalue()
