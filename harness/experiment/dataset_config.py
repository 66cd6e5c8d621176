"""The `dataset` section of an experiment file."""

from __future__ import annotations

import re
from math import inf, isfinite
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from harness.records import noun_of
from harness.settings import Strict

ImageSide = Annotated[int, Field(ge=2, le=1024)]
Name = Annotated[str, Field(min_length=1)]
LONGEST_SIDE = 96
"""Pixels of the longer side of pictures that networks are trained on from scratch: more are dear, and are of
help only where there are very many pictures."""


def _names(value: Any) -> Any:
    """One name is a list of one; numbers are names too, as they stand in columns of lists."""
    names = value if isinstance(value, list) else [value]
    if value is None or not all(isinstance(name, str | int) and str(name) for name in names):
        raise ValueError("it must be a list of names")
    return [str(name) for name in names]


def _range(value: Any) -> Any:
    numbers = value if isinstance(value, list) else []
    fine = len(numbers) == 2 and all(type(one) in (int, float) for one in numbers)
    if value != "auto" and not (fine and isfinite(numbers[0]) and numbers[0] < numbers[1] < inf):
        raise ValueError("it must be auto, or two numbers such as [0, 4095], the lower one first")
    return value


BY_COLUMN, UNGROUPED = "auto", "none"
"""Values of `groups` that are no patterns."""


def _groups(value: Any) -> Any:
    if not isinstance(value, str) or not value:
        raise ValueError(
            f"it must be {BY_COLUMN}, {UNGROUPED} or a regular expression such as '(patient[0-9]+)_'"
        )
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"it is no regular expression: {error}") from None
    return value


Names = Annotated[list[str], BeforeValidator(_names)]


class SplitNames(Strict):
    """What the user calls the splits: names of folders, or values of a list's column; none: no splits."""

    train: Names = Field(default=[])
    validation: Names = Field(default=[])
    test: Names = Field(default=[])


class ColumnNames(Strict):
    """What the user calls the columns of a list."""

    path: Name | None = None
    label: Name | None = None
    split: Name | None = None
    group: Name | None = None


class DatasetConfig(Strict):
    """What to train on, and how it is read and split."""

    source: Name = "digits"
    """A name from the catalog (`digits`, `cifar10`, …), a folder (or a `.zip` or `.tar` of one), a manifest
    `.csv` or an `.npz`."""
    layout: Literal["auto", "class_folders", "prefix"] = "auto"
    """`prefix`: a flat folder where the class is what stands before the last number of a name.
    `class_folders`: the folders say the classes, whatever a list among them says."""
    splits: SplitNames | None = None
    """Which folders, or values of a list's column, are which split. None: by their names."""
    columns: ColumnNames = ColumnNames()
    """Which columns of a list hold path, label, split and group, where their names do not say it."""
    groups: Annotated[str, BeforeValidator(_groups)] = BY_COLUMN
    """What keeps images together on one side of a split, such as those of one patient: a regular expression
    that is looked for in the paths of image files, whose part in parentheses names the group. `auto`: a
    list's column `group`, if it has one. `none`: nothing does but what `keep_together` says."""
    keep_together: Literal["identical", "near_duplicates"] = "identical"
    """Which images stay on one side of a split for being alike, beside those of one group: those that are
    pixel for pixel the same, or those that are nearly the same as well."""
    ignore: Names | None = None
    """Patterns of files and folders that are passed over. None: masks and thumbnails beside pictures."""
    range: Annotated[Literal["auto"] | list[float], BeforeValidator(_range)] = "auto"
    """Values that become 0 and 255, for arrays and for images of more than 8 bits."""
    max_pixels: Annotated[int, Field(ge=1, le=4_000_000_000)] = 50_000_000
    """Pixels of one image, as its header says, above which it is not read."""
    image_size: ImageSide | tuple[ImageSide, ImageSide] | None = None
    """Side, or height and width, in pixels. None: the commonest size, at most `longest_side`."""
    longest_side: ImageSide = LONGEST_SIDE
    """Pixels that the longer side of image files has at most, where `image_size` says nothing. By default 96,
    or more if a family in the space needs more."""
    frames: Annotated[int, Field(ge=1, le=256)] | None = None
    """The data set is one of clips, of each of which so many frames are taken, evenly over its time. None: it
    is one of images."""
    color: Literal["auto", "grey", "rgb"] = "auto"
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """The share of the training images that is held out, unless the source brings a validation split."""
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """The share of the training images that is held out and sealed, unless the source brings a test split."""
    folds: Annotated[int, Field(ge=2, le=20)] | None = None
    """Parts that the images which are not test images are dealt out to: a trial is trained once for each, on
    the others, and its score is the mean. None: one validation split."""
    repeats: Annotated[int, Field(ge=1, le=20)] = 1
    """How often they are dealt out to folds, each time anew."""
    limit_train: Annotated[int, Field(ge=2)] | None = None
    """Use only so many training images (stratified by class); with folds, so many that are not test
    images."""
    max_unreadable: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The share of unreadable images above which preparing is an error."""

    @property
    def noun(self) -> str:
        """What one of its files is called: `image` or `clip`."""
        return noun_of(self.frames)

    @model_validator(mode="after")
    def _repeat_folds_alone(self) -> Self:
        if self.folds is None and self.repeats > 1:
            raise ValueError(f"repeats is {self.repeats}, but without folds there is nothing to repeat")
        return self

    def named_splits(self) -> dict[str, list[str]] | None:
        """Names by pool as text; {} if there are none by the user's word; None if they say nothing."""
        if self.splits is None:
            return None
        return {pool: names for pool, names in self.splits if names}

    def named_columns(self) -> dict[str, str]:
        """Names of columns by what they hold, where the user says it."""
        return {what: name for what, name in self.columns if name is not None}

    def known_range(self) -> tuple[float, float] | None:
        """The range that the user names; None if they say nothing."""
        return None if self.range == "auto" else (self.range[0], self.range[1])
