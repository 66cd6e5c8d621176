"""Images that cannot be read: named, counted, and too many of them refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.data.sentences import counted, listed
from harness.data.source import ImageFile, ImageFiles
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig

LISTED = 20
"""Lines of an error."""
NAMED = 5
"""Files that are named one by one where the others are used."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that cannot be read."""

    file: ImageFile
    reason: str

    def __lt__(self, other: Failure) -> bool:
        return self.file.name < other.file.name


def judge(failures: Sequence[Failure], source: ImageFiles, config: DatasetConfig) -> None:
    """Raise DataError if too many images are unreadable, or all of a class or of a split."""
    total, noun = len(source.files), config.noun
    if len(failures) > config.max_unreadable * total:
        raise DataError(
            f"{len(failures)} of {total} {noun}s cannot be read, more than the allowed share of "
            f"{config.max_unreadable:.0%} (dataset.max_unreadable). Mend or remove them:\n{_lines(failures)}"
        )
    if not failures:
        return
    every = Counter(file.pool for file in source.files)
    lost = Counter(one.file.pool for one in failures)
    for pool in lost:
        if lost[pool] == every[pool]:
            raise DataError(
                f"Of the {pool} {noun}s ({every[pool]:,}) none can be read. {_first(failures, pool)}"
            )
    training = Counter(file.label for file in source.files if file.pool == "train")
    lost_of_class = Counter(one.file.label for one in failures if one.file.pool == "train")
    for label, number in sorted(lost_of_class.items()):
        if number == training[label]:
            name = source.classes[label]
            raise DataError(
                f"The class {name!r} has no {noun} left: none of its {counted(number, noun)} to train on "
                f"can be read. {_first([one for one in failures if one.file.label == label], 'train')} Mend "
                f"them, or leave the class out: --set 'dataset.ignore=[{name}]'."
            )


def say_failures(failures: Sequence[Failure]) -> list[str]:
    """Sentences about images that are left out."""
    named = [f"{one.file.path} was skipped: {one.reason}." for one in failures[:NAMED]]
    if len(failures) <= NAMED:
        return named
    rest = failures[NAMED:]
    reasons = Counter(one.reason for one in rest).most_common()
    each = listed(f"{reason} ({number:,})" for reason, number in reasons)
    return [*named, f"{counted(len(rest), 'more image was', 'more images were')} skipped: {each}."]


def _lines(failures: Sequence[Failure]) -> str:
    """A line for each file, or for a reason that many share."""
    shared = Counter(one.reason for one in failures)
    lines: dict[str, str] = {}
    for one in failures:
        many = shared[one.reason] > NAMED
        others = f" and {shared[one.reason] - 1:,} others" if many else ""
        lines.setdefault(
            one.reason if many else str(one.file.path), f"  {one.file.path}{others}: {one.reason}"
        )
    more = f"\n  … and {len(lines) - LISTED} more" if len(lines) > LISTED else ""
    return "\n".join(list(lines.values())[:LISTED]) + more


def _first(failures: Sequence[Failure], pool: str) -> str:
    one = next(one for one in failures if one.file.pool == pool)
    return f"{one.file.path}: {one.reason}."
