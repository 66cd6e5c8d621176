"""The schema of an experiment file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ImageSide = Annotated[int, Field(ge=2, le=1024)]


class Strict(BaseModel):
    """Unknown keys and wrong types are errors; instances do not change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DatasetConfig(Strict):
    """What to train on, and how it is read and split."""

    source: str = "digits"
    """A name from the catalog (`digits`, `cifar10`, …), a folder, a manifest `.csv` or an `.npz`."""
    layout: Literal["auto", "class_folders", "prefix"] = "auto"
    """`prefix`: a flat folder where the class is what stands before the first `_`, `-` or `.` of a name."""
    image_size: ImageSide | tuple[ImageSide, ImageSide] | None = None
    """Side, or height and width, in pixels. None: the commonest size, at most 96 on the longer side."""
    color: Literal["auto", "grey", "rgb"] = "auto"
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Of the training images; unused when the source brings a validation split."""
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Held out and sealed when the source brings no test split."""
    limit_train: Annotated[int, Field(ge=2)] | None = None
    """Use only so many training images (stratified by class)."""
    max_unreadable: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The share of unreadable images above which preparing is an error."""
