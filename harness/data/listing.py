"""The images that a list names, with their labels and splits."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.data.columns import Columns, choose_columns, no_columns
from harness.data.finder import Finder, OnDisk
from harness.data.labelled import Labelled, as_source
from harness.data.not_data import IMAGES
from harness.data.sentences import counted, listed
from harness.data.sources import POOLS, ImageFiles, Pool
from harness.data.split_names import split_names, value_split
from harness.data.table import Table, read_table
from harness.data.tree import matches
from harness.errors import DataError
from harness.experiment.schema import DatasetConfig

SHOWN = 20
"""Lines of a list that are shown in an error."""


@dataclass(slots=True)
class Listing:
    """What a list says, and what should be said of it."""

    labelled: list[Labelled] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    has_splits: bool = False


def read_manifest(file: Path, config: DatasetConfig) -> ImageFiles:
    """The images that a list with columns such as `path,label[,split]` names.

    Relative paths are relative to the file. Images that are not found there are looked for below its folder.

    Raises:
        DataError: naming the line.
    """
    table = read_table(file)
    finder = OnDisk(file)
    columns = columns_of(table, finder, config)
    if not columns.labelled:
        raise DataError(no_columns(table, ["label"]))
    if not table.rows:
        raise DataError(f"The manifest {file} lists no images.")
    listing = read_listing(table, columns, finder, config)
    unlisted = _unlisted(listing.labelled)
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
    rows = _Rows(table, columns, config)
    listing = Listing(said=_say_columns(table, columns))
    seen: set[tuple[str, str, Pool]] = set()
    missing: list[tuple[int, str]] = []
    elsewhere: list[str] = []
    repeated = 0
    for line, fields in table.rows:
        name, label = fields[columns.path], rows.label(line, fields)
        split = pool or rows.split(line, fields)
        if split is None or any(matches(name, pattern) for pattern in config.ignore or ()):
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
            listing.labelled.append(Labelled(*found, label, split))
    _judge_missing(table, finder, missing, config, listing)
    _refuse_several_labels(table, listing.labelled)
    listing.said += rows.sentences()
    if elsewhere:
        listing.said.append(f"Found elsewhere than {table.file.name} says: {listed(elsewhere)}.")
    if repeated:
        listing.said.append(
            f"{table.file.name} lists {counted(repeated, 'image')} more than once; each is used once."
        )
    listing.has_splits = columns.split is not None
    if columns.split is None and pool is None:
        _splits_of_folders(table, config.named_splits(), listing)
    return listing


@dataclass(slots=True)
class _Rows:
    """Labels and splits of rows, and what was seen on the way."""

    table: Table
    columns: Columns
    config: DatasetConfig
    blank: int = 0
    unlabelled: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)

    def label(self, line: int, fields: Sequence[str]) -> str:
        """The label; raises DataError if path or label is missing."""
        if not fields[self.columns.path]:
            raise DataError(f"{self.table.file}:{line}: the path is missing.")
        if self.columns.label is None:
            return next(self.table.header[at] for at in self.columns.one_hot if float(fields[at]))
        return fields[self.columns.label]

    def split(self, line: int, fields: Sequence[str]) -> Pool | None:
        """The split; None if the row is not to be used."""
        pool, value = self._split(line, fields)
        if pool is not None and not self.label(line, fields):
            if pool != "test":
                raise DataError(f"{self.table.file}:{line}: the label is missing.")
            self.unlabelled[value] += 1
            return None
        return pool

    def _split(self, line: int, fields: Sequence[str]) -> tuple[Pool | None, str]:
        if self.columns.split is None:
            return "train", ""
        value = fields[self.columns.split]
        named = self.config.named_splits()
        if not value and not named:
            self.blank += 1
            return "train", ""
        found = value_split(value, named)
        if found is not None and (not named or value.casefold() in _flat(named)):
            if found.pool is None:
                self.unlabelled[value] += 1
            return found.pool, value
        if named:
            self.left[value] += bool(named.get("train"))
            return (None if named.get("train") else "train"), value
        column = self.table.header[self.columns.split]
        raise DataError(
            f"{self.table.file}:{line}: the split {value!r} is none of train, validation, test. Say what the "
            f"values of {column} mean: --set 'dataset.splits={{train: […], validation: […], test: […]}}'; or "
            "that they are no splits: --set 'dataset.splits={}'."
        )

    def sentences(self) -> list[str]:
        """What should be said."""
        said = []
        if self.blank:
            said.append(
                f"{counted(self.blank, 'row')} without a split {'is' if self.blank == 1 else 'are'} for "
                "training."
            )
        for counts, why in (
            (self.unlabelled, "without labels"),
            (+self.left, "that dataset.splits does not name"),
        ):
            if counts:
                each = listed(f"{value or 'test'} ({number:,})" for value, number in counts.items())
                said.append(f"Not used: rows {why}: {each}.")
        return said


def _flat(named: Mapping[str, Sequence[str]]) -> set[str]:
    return {value.strip().casefold() for values in named.values() for value in values}


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


def _splits_of_folders(table: Table, named: dict[str, list[str]] | None, listing: Listing) -> None:
    """Where the list has no splits, the folders of its paths may: `train/1.png`, `test/2.png`."""
    if named == {}:
        return
    root = str(table.file.parent.resolve())
    real = _real_folders(listing.labelled)
    parts_of = {folder: Path(os.path.relpath(path, root)).parts for folder, path in real.items()}
    folders = [parts_of[_folder(one.path)] for one in listing.labelled]
    names = {name for parts in folders for name in parts}
    if named is None:
        pools = {name: split.pool for name, split in split_names(sorted(names)).items()}
    else:
        pools = {
            name: pool
            for name in names
            for pool in POOLS
            if name.casefold() in _flat({"": named.get(pool, [])})
        }
        if not pools:
            raise DataError(
                f"dataset.splits names {listed(sorted(_flat(named)))}, but {table.file} has neither a column "
                "for the split nor such folders in its paths."
            )
    found = [next((pools[name] for name in parts if name in pools), None) for parts in folders]
    if named is None and (None in found or len(set(found)) < 2 or "train" not in found):
        return
    rest: Pool | None = None if named and named.get("train") else "train"
    kept = [(one, pool or rest) for one, pool in zip(listing.labelled, found, strict=True)]
    listing.labelled = [one._replace(pool=pool) for one, pool in kept if pool]
    listing.has_splits = True
    each = ", ".join(f"{name} is {pool}" for name, pool in sorted(pools.items()))
    listing.said.append(
        f"Splits by the folders of the paths, for {table.file.name} has no column for them: {each}. For "
        "none: --set 'dataset.splits={}'."
    )
    if left := sum(pool is None for _, pool in kept):
        listing.said.append(
            f"Not used: {counted(left, 'image')} in folders that dataset.splits does not name."
        )


def _say_columns(table: Table, columns: Columns) -> list[str]:
    roles = {"path": columns.path, "label": columns.label, "split": columns.split}
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


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _real_folders(labelled: Sequence[Labelled]) -> dict[str, str]:
    """The folders of the images as they are written, and where they really are."""
    return {folder: os.path.realpath(folder) for folder in {_folder(one.path) for one in labelled}}


def _unlisted(labelled: Sequence[Labelled]) -> list[str]:
    """Images in the folders of those that are listed."""
    real = _real_folders(labelled)
    known = {f"{real[_folder(one.path)]}/{one.path.rpartition('/')[2]}" for one in labelled}
    unlisted = []
    for folder in sorted(set(real.values())):
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError:
            continue
        for name in names:
            if f".{name.rpartition('.')[2].lower()}" in IMAGES and name[0] != ".":
                path = f"{folder}/{name}"
                if path not in known:
                    unlisted.append(path)
    return unlisted
