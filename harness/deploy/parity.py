"""How far an exported model is from the trained one, by the predictions that were recorded in training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.arrays import Part, part_named
from harness.errors import ExportError
from harness.paths.study import PREDICTIONS

TOLERANCE = 1e-4
"""Largest allowed difference of a probability."""

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]
Predict = Callable[[Images], Probabilities]


@dataclass(frozen=True, slots=True)
class Parity:
    """How far one artefact is from the trained model on the reference images."""

    artefact: str
    images: int
    largest_difference: float
    same_class: int
    """Images for which the most probable class is the same."""

    def sentence(self) -> str:
        """What was found, in a sentence for people."""
        return (
            f"{self.artefact}: differs from the trained model by at most {self.largest_difference:.1e}, same "
            f"class on {self.same_class} of {self.images} images"
        )


def pixels_parity(
    file: str, entries: Mapping[str, Predict], images: Images, expected: Probabilities
) -> Parity:
    """Try every entry of an exported model that takes pixels.

    Args:
        file: of the model.
        entries: by name, the usual one first.
        images: uint8 (n, H, W, C).
        expected: what the trained model predicted for them, float32 (n, K).

    Raises:
        ExportError: one of them predicts something else.
    """
    found = [
        compare(f"{file} {entry}".strip(), predict(images), expected) for entry, predict in entries.items()
    ]
    return Parity(
        artefact=found[0].artefact,
        images=len(expected),
        largest_difference=max(one.largest_difference for one in found),
        same_class=min(one.same_class for one in found),
    )


def compare(artefact: str, found: npt.NDArray[Any], expected: Probabilities) -> Parity:
    """Raises ExportError if the probabilities differ, or the class does where it is not a tie."""
    if found.shape != expected.shape:
        raise ExportError(f"{artefact} predicts the shape {found.shape} instead of {expected.shape}.")
    difference = float(np.abs(found - expected).max())
    top_two = np.sort(expected, axis=1)[:, -2:]
    clear = top_two[:, 1] - top_two[:, 0] > 2 * TOLERANCE
    same = found.argmax(axis=1) == expected.argmax(axis=1)
    if not difference <= TOLERANCE or not same[clear].all():
        raise ExportError(
            f"{artefact} does not predict what the trained model did: probabilities differ by up to "
            f"{difference:.2g} (allowed {TOLERANCE:g}), and {int((~same).sum())} of {len(same)} images get "
            "another class. Nothing was exported."
        )
    return Parity(artefact, len(expected), difference, int(same.sum()))


def recorded_predictions(model_file: Path) -> tuple[Part, npt.NDArray[np.int64], Probabilities]:
    """Which images the trained model was shown before it was saved, and what it predicted.

    Returns:
        The split, positions in it, and probabilities float32 (n, K).

    Raises:
        ExportError: they cannot be read.
    """
    file = model_file.with_name(PREDICTIONS)
    try:
        with np.load(file, allow_pickle=False) as stored:
            return part_named(str(stored["split"])), stored["indices"], stored["probabilities"]
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(
            f"The reference predictions {file} cannot be read ({error}), so the export could not be verified."
        ) from error
