"""The images that a list names, with their labels and splits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.data.columns import Columns, choose_columns, no_columns
from harness.data.finder import Finder, OnDisk
from harness.data.labelled import Labelled, as_source
from harness.data.list_folders import splits_of_folders, unlisted_beside
from harness.data.list_rows import Rows
from harness.data.not_data import CLIPS_WANTED, PICTURES_WANTED
from harness.data.sentences import counted, listed
from harness.data.source import ImageFiles, Pool
from harness.data.table import Table, read_table
from harness.data.tree import matching, say_unmatched
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig

SHOWN = 20
"""Lines of a list that are shown in an error."""


@dataclass(slots=True)
class Listing:
    """What a list says, and what should be said of it."""

    labelled: list[Labelled] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    has_splits: bool = False


def images_of_list(file: Path, config: DatasetConfig) -> ImageFiles:
    """The images that a list with columns such as `path,label[,split]` names.

    Relative paths are relative to the file. Images that are not found there are looked for below its folder.

    Raises:
        DataError: naming the line.
    """
    table = read_table(file)
    finder = OnDisk(file, CLIPS_WANTED if config.frames else PICTURES_WANTED)
    columns = columns_of(table, finder, config)
    if not columns.labelled:
        raise DataError(no_columns(table, ["label"]))
    if not table.rows:
        raise DataError(f"The manifest {file} lists no images.")
    listing = read_listing(table, columns, finder, config)
    unlisted = unlisted_beside(listing.labelled)
    if unlisted:
        listing.said.append(
            f"Not used: {counted(len(unlisted), 'image')} beside those that {file.name} lists: "
            f"{listed(unlisted)}."
        )
    return as_source(file.stem, str(file.parent.resolve()), listing.labelled, listing.said)


def columns_of(table: Table, finder: Finder, config: DatasetConfig) -> Columns:
    """The columns of a list as the configuration says, or else by names and values."""
    return choose_columns(
        table, config.named_columns(), config.named_splits(), lambda v: finder.find(v) is not None
    )


def read_listing(
    table: Table, columns: Columns, finder: Finder, config: DatasetConfig, pool: Pool | None = None
) -> Listing:
    """Every image of a list.

    Args:
        table: the list.
        columns: which column is what.
        finder: finds the images.
        config: what the user says of splits, of what is to be ignored, and of how much may be missing.
        pool: the split of all images, where the list's own name says it.

    Raises:
        DataError: naming the line.
    """
    rows = Rows(table, columns, config)
    listing = Listing(said=_say_columns(table, columns))
    seen: set[tuple[str, str, Pool]] = set()
    missing: list[tuple[int, str]] = []
    elsewhere: list[str] = []
    patterns, matched = set(config.ignore or ()), set[str]()
    repeated = ignored = 0
    for line, fields in table.rows:
        name, label = fields[columns.path], rows.label(line, fields)
        split = pool or rows.split(line, fields)
        ignored_by = matching(name, patterns)
        matched |= ignored_by
        ignored += bool(ignored_by)
        if split is None or ignored_by:
            continue
        found = finder.find(name)
        if found is None:
            missing.append((line, name))
            continue
        if not found[0].endswith(os.path.normpath(name)):
            elsewhere.append(f"{name} is {os.path.relpath(found[0], table.file.parent)}")
        key = (found[0], label, split)
        repeated += key in seen
        if key not in seen:
            seen.add(key)
            group = "" if columns.group is None else fields[columns.group]
            listing.labelled.append(Labelled(*found, label, split, group))
    _judge_missing(table, finder, missing, config, listing)
    _refuse_several_labels(table, listing.labelled)
    listing.said += rows.sentences()
    if ignored:
        listing.said.append(f"dataset.ignore passed over {counted(ignored, 'row')} of {table.file.name}.")
    if isinstance(finder, OnDisk):
        listing.said += say_unmatched(patterns - matched)
    if elsewhere:
        listing.said.append(f"Found elsewhere than {table.file.name} says: {listed(elsewhere)}.")
    if repeated:
        listing.said.append(
            f"{table.file.name} lists {counted(repeated, 'image')} more than once; each is used once."
        )
    listing.has_splits = columns.split is not None
    if columns.split is None and pool is None:
        _take_splits_of_folders(table, config, listing)
    return listing


def _judge_missing(
    table: Table, finder: Finder, missing: list[tuple[int, str]], config: DatasetConfig, listing: Listing
) -> None:
    """Name images that are not there; too many are an error."""
    if not missing:
        return
    lines = [f"{table.file}:{line}: {_why_missing(table, finder, name)}" for line, name in missing[:SHOWN]]
    if len(missing) <= config.max_unreadable * len(table.rows):
        listing.said.append(
            f"Not used: {counted(len(missing), 'row')} whose image is missing: {listed(lines)}."
        )
        return
    if len(missing) == 1:
        raise DataError(f"{lines[0]}.")
    more = f"\n  … and {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else ""
    raise DataError(
        f"{len(missing):,} of {len(table.rows):,} images that {table.file} lists are not there, more than "
        "the allowed "
        f"share of {config.max_unreadable:.0%} (dataset.max_unreadable):\n  " + "\n  ".join(lines) + more
    )


def _why_missing(table: Table, finder: Finder, name: str) -> str:
    path = table.file.parent / name
    shown = str(path) if len(name) < 300 else f"{str(path)[:300]}…"
    if isinstance(finder, OnDisk) and finder.is_something_else(name):
        return f"{shown} is not a file"
    return f"the image {shown} does not exist"


def _refuse_several_labels(table: Table, labelled: Sequence[Labelled]) -> None:
    labels = {one.label for one in labelled}
    several = [label for label in labels if "|" in label]
    if several:
        raise DataError(
            f"{table.file}: the label {min(several)!r} names several classes; an image must have one. Keep "
            "one label for each image, in a list of your own."
        )


def _take_splits_of_folders(table: Table, config: DatasetConfig, listing: Listing) -> None:
    """Where the list has no column for the split, the folders of its paths may say it."""
    found = splits_of_folders(table.file, listing.labelled, config.named_splits())
    if found is not None:
        listing.labelled, said = found
        listing.said += said
        listing.has_splits = True


def _say_columns(table: Table, columns: Columns) -> list[str]:
    roles = {"path": columns.path, "label": columns.label, "split": columns.split, "group": columns.group}
    taken = {role: table.header[at] for role, at in roles.items() if at is not None}
    unclear = [f"{role} is {name}" for role, name in taken.items() if name.casefold() != role]
    parts = [*([", ".join(unclear)] if unclear else []), *columns.said]
    if columns.unused:
        parts.append(f"not used: {listed(columns.unused, 8)}")
    if not parts:
        return []
    return [
        f"Columns of {table.file.name}: {'; '.join(parts)}. To say otherwise: --set 'dataset.columns={{path: "
        "…, label: …, split: …}'."
    ]
