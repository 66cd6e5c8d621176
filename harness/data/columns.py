"""Which columns of a list hold paths, labels, splits and groups."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.data.sentences import listed
from harness.data.split_names import value_split
from harness.data.table import Table
from harness.errors import DataError

PATHS = [
    "path", "filepath", "filepaths", "imagepath", "imgpath", "filename", "filenames", "imagefile",
    "imagefilename", "imgfile", "file", "fname", "image", "img", "picture", "photo", "imagename",
    "imgname", "imageid", "imgid", "imageindex", "idcode", "id",
]  # fmt: skip
"""Names of columns with paths, without spaces and `_`, the surest first."""
LABELS = [
    "label", "labels", "class", "classes", "classname", "category", "target", "targets", "labelname",
    "categoryname", "classlabel", "y", "tag", "species", "breed", "diagnosis", "dx", "findinglabels",
    "classid", "labelid", "categoryid", "classindex",
]  # fmt: skip
SPLITS = [
    "split", "subset", "partition", "set", "dataset", "datasplit", "traintest", "usage",
    "phase", "fold",
]  # fmt: skip
GROUPS = ["group", "groups", "groupid"]
"""Names of columns with what images belong to."""
SURE_SPLITS = frozenset(["split", "subset", "partition", "datasplit"])
"""A column so called has nothing but splits; others have if all their values are."""
_FLAGS = {"isvalid": "validation", "isval": "validation", "isvalidation": "validation", "istest": "test"}
_YES, _NO = frozenset(["1", "true", "yes", "1.0"]), frozenset(["0", "false", "no", "", "0.0"])
LOOKED_AT = 200
"""Rows that are looked at to see whether a column holds paths."""


class NoPathsError(DataError):
    """No column of a list holds paths of images."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Positions of columns."""

    path: int
    label: int | None
    """The position of the labels' column; None with `one_hot`, or if there are no labels."""
    one_hot: tuple[int, ...]
    """Columns of 0 and 1, one a class."""
    split: int | None
    group: int | None
    unused: tuple[str, ...]
    said: tuple[str, ...]
    """Sentences about what was not clear from the names alone."""

    @property
    def labelled(self) -> bool:
        """Whether there are labels."""
        return self.label is not None or bool(self.one_hot)


def choose_columns(
    table: Table,
    chosen: Mapping[str, str],
    splits: dict[str, list[str]] | None,
    is_image: Callable[[str], bool],
) -> Columns:
    """The columns of a list, by name and by what they hold.

    Args:
        table: the list.
        chosen: `dataset.columns`: names of columns by `path`, `label`, `split`, `group`.
        splits: `dataset.splits`: values by pool; {} if the list has no splits.
        is_image: whether a value leads to an image.

    Raises:
        DataError: a column that the user names is not there, or several may be meant.
    """
    said: list[str] = []
    names = [_bare(name) for name in table.header]
    if _by_name(names, PATHS, range(len(names))) is None:
        _refuse_no_header(table, is_image)
    asked = {what: _asked(table, what, name) for what, name in chosen.items()}
    path = asked.get("path")
    if path is None:
        path = _path_column(table, names, is_image, said, set(asked.values()))
    split = asked.get("split")
    taken = {path, *asked.values()}
    if split is None and splits != {}:
        split = _split_column(table, names, splits, taken, said)
    label = asked.get("label")
    one_hot: tuple[int, ...] = ()
    if label is None:
        free = [at for at in range(len(names)) if at not in {*taken, split} and table.header[at]]
        label = _by_name(names, LABELS, free)
        if label is None:
            one_hot = _one_hot(table, free)
        if label is None and not one_hot and len(free) == 1:
            (label,) = free
            said.append(
                f"the column {table.header[label]} is taken for the label, for it is the only one left"
            )
        if one_hot:
            said.append(
                f"the columns {listed(table.header[at] for at in one_hot)} of 0 and 1 are taken as classes"
            )
    group = asked.get("group")
    if group is None:
        free = [at for at in range(len(names)) if at not in {path, split, label, *one_hot}]
        group = _by_name(names, GROUPS, free)
    used = {path, split, label, group, *one_hot}
    unused = tuple(name for at, name in enumerate(table.header) if at not in used and name)
    return Columns(path, label, one_hot, split, group, unused, tuple(said))


def no_columns(table: Table, columns: Sequence[str]) -> str:
    """The sentence for a list without the columns that are needed."""
    have = f"its columns are {listed(table.header, 8)}" if any(table.header) else "it is empty"
    one = f"{{{', '.join(f'{name}: …' for name in columns)}}}"
    return (
        f"The manifest {table.file} has no column {' and no column '.join(columns)}; {have}. Its first line "
        "must be path,label or path,label,split, or say which columns are meant: --set "
        f"'dataset.columns={one}'."
    )


def _refuse_no_header(table: Table, is_image: Callable[[str], bool]) -> None:
    images = [name for name in table.header if name and is_image(name)]
    if images:
        raise DataError(
            f"The first line of {table.file} names an image ({images[0]}), and not the columns. Put a line "
            "such as path,label above it."
        )


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", name).casefold())


def _asked(table: Table, what: str, name: str) -> int:
    wanted = _bare(name)
    found = [at for at, header in enumerate(table.header) if header == name.strip()]
    found = found or [at for at, header in enumerate(table.header) if _bare(header) == wanted]
    if len(found) != 1:
        raise DataError(
            f"dataset.columns: {table.file} has {'no' if not found else 'more than one'} column {name!r} for "
            f"the {what}; its columns are {listed(table.header, 8)}."
        )
    return found[0]


def _by_name(names: Sequence[str], known: Sequence[str], free: Sequence[int]) -> int | None:
    return next((at for name in known for at in free if names[at] == name), None)


def _path_column(
    table: Table, names: list[str], is_image: Callable[[str], bool], said: list[str], taken: set[int]
) -> int:
    """The column with paths: one so called, but one whose values lead to images before one whose do not."""
    free = [at for at in range(len(names)) if at not in taken]
    by_name = [at for name in PATHS for at in free if names[at] == name]
    rest = [at for at in free if at not in by_name]
    sample = table.rows[:: max(1, len(table.rows) // LOOKED_AT)][:LOOKED_AT]
    for at in [*by_name, *rest]:
        values = [fields[at] for _, fields in sample if fields[at]]
        if values and 2 * sum(map(is_image, values)) >= len(values):
            if at in rest:
                said.append(
                    f"the column {table.header[at]} is taken for the path, for its values lead to images"
                )
            return at
    if by_name:
        return by_name[0]
    missing = ["label"] if _by_name(names, LABELS, free) is None else []
    raise NoPathsError(no_columns(table, [*missing, "path"]))


def _split_column(
    table: Table, names: list[str], splits: dict[str, list[str]] | None, taken: set[int], said: list[str]
) -> int | None:
    """The column called split or so; else one whose values are all splits."""
    free = [at for at in range(len(names)) if at not in taken and table.header[at]]
    sure = [at for at in free if names[at] in SURE_SPLITS]
    likely = [at for at in free if at not in sure and _has_splits(table, at, splits)]
    likely.sort(key=lambda at: SPLITS.index(names[at]) if names[at] in SPLITS else len(SPLITS))
    found = sure or likely
    if len(found) > 1 and names[found[0]] not in SPLITS[:1]:
        raise DataError(
            f"{table.file}: the columns {' and '.join(table.header[at] for at in found)} both seem to name "
            f"the split. Say which: --set 'dataset.columns={{split: {table.header[found[0]]}}}'."
        )
    if not found:
        flags = [table.header[at] for at in free if names[at] in (*_FLAGS, "istrain", "istraining")]
        if flags:
            raise DataError(_flag(table, flags[0]))
        return None
    if not sure and names[found[0]] not in SPLITS:
        said.append(
            f"the column {table.header[found[0]]} is taken for the split, for all its values are splits"
        )
    return found[0]


def _flag(table: Table, name: str) -> str:
    kind = _FLAGS.get(_bare(name))
    at = table.header.index(name)
    values = sorted({fields[at] for _, fields in table.rows[:LOOKED_AT]})
    yes = [value for value in values if value.casefold() in _YES] or ["True"]
    no = [value for value in values if value.casefold() in _NO] or ["False"]
    pools = {kind: yes, "train": no} if kind else {"train": yes, "test": no}
    shown = ", ".join(f"{pool}: [{', '.join(repr(one) for one in each)}]" for pool, each in pools.items())
    return (
        f"{table.file}: the column {name} seems to mark a split. Say what its values mean: "
        f"--set 'dataset.columns={{split: {name}}}' --set \"dataset.splits={{{shown}}}\"; or that there is "
        "none: --set 'dataset.splits={}'."
    )


def _has_splits(table: Table, at: int, splits: dict[str, list[str]] | None) -> bool:
    values = {fields[at] for _, fields in table.rows}
    values.discard("")
    if not 1 < len(values) < 20:
        return False
    found = [value_split(value, splits) for value in values]
    pools = {split.pool for split in found if split}
    return all(found) and len(pools) > 1 and "train" in pools


def _one_hot(table: Table, free: Sequence[int]) -> tuple[int, ...]:
    """Columns of 0 and 1 with one 1 a row; empty if there are none; DataError if a row has several."""
    flags = [at for at in free if all(_flag_value(fields[at]) is not None for _, fields in table.rows)]
    if len(flags) < 2 or not table.rows:
        return ()
    for line, fields in table.rows:
        ones = [table.header[at] for at in flags if _flag_value(fields[at])]
        if len(ones) != 1:
            raise DataError(
                f"{table.file}:{line}: {len(ones)} of the columns {listed(table.header[at] for at in flags)} "
                f"are 1 ({listed(ones) or 'none'}); an image must have one class. If one of the columns is "
                "the label, say so: --set 'dataset.columns={label: …}'."
            )
    return tuple(flags)


def _flag_value(text: str) -> bool | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return bool(number) if number in (0, 1) else None
