"""How often the model is right about files whose class is known from their folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.bootstrap import Interval, share_interval
from harness.serving.results import Result


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of the files in class folders, how many were classified as these say."""

    files: int
    """Those that could be classified."""
    hits: int
    accuracy: float
    interval: Interval
    """Wilson's, 95 %."""
    classes: tuple[str, ...]
    confusion: list[list[int]]
    """Counts; rows are the folders' classes, columns the most probable ones, in the order of `classes`."""
    unread: int
    """Files in class folders that could not be classified; they do not count."""
    elsewhere: int
    """Classified files that lie in no folder of a class; they do not count."""


def agreement(results: Sequence[Result], classes: tuple[str, ...]) -> Agreement | None:
    """Compare the most probable classes, also where the model is unsure, with those of the folders.

    Args:
        results: of all files.
        classes: the model's.

    Returns:
        What was found; None if no classified file lies in a folder of a class.
    """
    index = {name: number for number, name in enumerate(classes)}
    confusion = [[0] * len(classes) for _ in classes]
    files = hits = unread = elsewhere = 0
    for one in results:
        if one.label is None:
            elsewhere += bool(one.guesses)
        elif not one.guesses:
            unread += 1
        else:
            confusion[index[one.label]][index[one.guesses[0].name]] += 1
            files += 1
            hits += one.label == one.guesses[0].name
    interval = share_interval(hits, files)
    if interval is None:
        return None
    return Agreement(files, hits, hits / files, interval, classes, confusion, unread, elsewhere)
