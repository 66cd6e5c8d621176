"""Labels and splits of the rows of a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.data.columns import Columns
from harness.data.sentences import counted, listed
from harness.data.source import Pool
from harness.data.split_names import flat, value_split
from harness.data.table import Table
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig


@dataclass(slots=True)
class Rows:
    """Labels and splits of rows, and what was seen on the way."""

    table: Table
    columns: Columns
    config: DatasetConfig
    blank: int = 0
    """Rows without a split."""
    unlabelled: Counter[str] = field(default_factory=Counter)
    """Rows without labels, by the split as it is written."""
    left: Counter[str] = field(default_factory=Counter)
    """Rows whose split the user does not name, as it is written."""
    _meanings: dict[str, tuple[Pool | None, bool]] = field(default_factory=dict)
    """Values of the split's column, most of which come often: see `_meaning`."""

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
        if value not in self._meanings:
            self._meanings[value] = self._meaning(line, value)
        pool, is_named = self._meanings[value]
        if not is_named:
            self.left[value] += 1
        elif pool is None:
            self.unlabelled[value] += 1
        elif not value:
            self.blank += 1
        return pool, value

    def _meaning(self, line: int, value: str) -> tuple[Pool | None, bool]:
        """The split, None for images that are not used; and False if that is because the user does not name
        it."""
        named = self.config.named_splits()
        if not value and not named:
            return "train", True
        found = value_split(value, named)
        if found is not None and (not named or value.casefold() in flat(named)):
            return found.pool, True
        if named:
            return (None, False) if named.get("train") else ("train", True)
        column = self.table.header[self.columns.split or 0]
        raise DataError(
            f"{self.table.file}:{line}: the split {value!r} is none of train, validation, test. Say what the "
            f"values of {column} mean: --set 'dataset.splits={{train: […], validation: […], test: […]}}'; or "
            "that they are no splits: --set 'dataset.splits={}'."
        )

    def sentences(self) -> list[str]:
        """What a person should know of the list."""
        said = []
        if self.blank:
            said.append(
                f"{counted(self.blank, 'row')} without a split {'is' if self.blank == 1 else 'are'} for "
                "training."
            )
        for counts, why in (
            (self.unlabelled, "without labels"),
            (self.left, "that dataset.splits does not name"),
        ):
            if counts:
                each = listed(f"{value or 'test'} ({number:,})" for value, number in counts.items())
                said.append(f"Not used: rows {why}: {each}.")
        return said
