"""What is registered in MLflow: a Keras model as it goes there and comes back, a version of it, its tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATASET = "harness.dataset"
SPLIT_DIGEST = "harness.split_digest."
"""What tags with the digest of a part of the data begin with."""
OPENINGS = "harness.test_openings"
"""The tag with how many of the study's models were evaluated on its test images."""
SHA256 = "harness.sha256"
"""The tag of a version with the SHA-256 (hex) of its `.keras` file; harness has registered what has it."""
DESCRIPTION_SHA256 = "harness.description_sha256"
"""The tag of a version with that of its file `MLmodel`, which names the classes."""
WHY = "harness.champion_why"
"""The tag of a version that says why it became champion."""
TEMPERATURE = "harness.temperature"
"""The tag of a version whose logits are divided by a temperature."""


@dataclass(frozen=True, slots=True)
class KerasModel:
    """A `.keras` file, and what has to be known to use it."""

    file: Path
    sha256: str
    """Of the file as it was written, in hex."""
    classes: tuple[str, ...]
    """Names in the order of the outputs."""
    example_shape: tuple[int, ...]
    """What the network is given of an image: height, width, channels; of clips, before them the frames."""
    of_files: Mapping[str, Any] = field(default_factory=dict)
    """How image files become pixels, builtins only: `pixel_range` and `max_pixels`."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model."""

    name: str
    """The registered model's."""
    number: int
    tags: Mapping[str, str]
    run: str
    """The id of the run that has made it; empty where it is not known."""

    @property
    def address(self) -> str:
        """Such as `models:/pets/3`."""
        return f"models:/{self.name}/{self.number}"
