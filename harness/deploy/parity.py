"""How far an exported model is from the trained one, by what both predict for the same images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.arrays import Part, part_named
from harness.deploy.runtimes.run import FEW
from harness.deploy.tolerance import FLOAT32, IMAGES_ALLOWED, Tolerance
from harness.errors import ExportError
from harness.paths.study import PREDICTIONS

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parity:
    """How far one artefact is from the trained model on the images that both were given."""

    artefact: str
    images: int
    largest_difference: float
    same_class: int
    """Images for which the most probable class is the same."""
    lost: int | None = None
    """Images that the trained model gets right, less those that this one gets right; None: their classes are
    not known."""

    def sentence(self) -> str:
        """What was found, in a sentence for people."""
        return (
            f"{self.artefact}: differs from the trained model by at most {self.largest_difference:.1e}, same "
            f"class on {self.same_class} of {self.images}"
        )


def pixels_parity(
    file: str,
    entries: Mapping[str, Probabilities],
    expected: Probabilities,
    labels: Labels | None,
    tolerance: Tolerance,
) -> Parity:
    """Compare what every entry of an exported model that takes pixels has answered.

    Args:
        file: of the model.
        entries: answers float32 (n, K) by entry, the usual one first; those of the others may be for the
            first 64 images only.
        expected: what the trained model predicts for them, float32 (n, K).
        labels: their true classes, int32 (n,); None if they are not known.
        tolerance: of the format.

    Raises:
        ExportError: one of them is out of tolerance.
    """
    (usual, answer), *others = entries.items()
    parity = compare(f"{file} {usual}".strip(), answer, expected, labels, tolerance)
    some, their_labels = expected[:FEW], None if labels is None else labels[:FEW]
    found = [
        compare(f"{file} {entry}".strip(), few[:FEW], some, their_labels, tolerance) for entry, few in others
    ]
    return replace(parity, largest_difference=max(one.largest_difference for one in (parity, *found)))


def compare(
    artefact: str,
    found: npt.NDArray[Any],
    expected: Probabilities,
    labels: Labels | None = None,
    tolerance: Tolerance = FLOAT32,
) -> Parity:
    """Raises ExportError if the probabilities, or the classes that follow from them, are out of tolerance."""
    if found.shape != expected.shape:
        raise ExportError(f"{artefact} predicts the shape {found.shape} instead of {expected.shape}.")
    if not np.isfinite(found).all():
        bad = int((~np.isfinite(found).all(axis=1)).sum())
        raise ExportError(
            f"{artefact} does not predict what the trained model did: its probabilities are not numbers for "
            f"{bad} of {len(found)} examples. Nothing was exported."
        )
    difference = float(np.abs(found - expected).max())
    same = found.argmax(axis=1) == expected.argmax(axis=1)
    lost = None
    if labels is not None:
        lost = int((expected.argmax(axis=1) == labels).sum()) - int((found.argmax(axis=1) == labels).sum())
    problem = _beyond(tolerance, difference, same, _clear(expected, tolerance.tie), lost)
    if problem:
        raise ExportError(
            f"{artefact} does not predict what the trained model did: probabilities differ by up to "
            f"{difference:.2g}, and {int((~same).sum())} of {len(same)} get another class; {problem}. "
            "Nothing was exported."
        )
    return Parity(artefact, len(expected), difference, int(same.sum()), lost)


def _clear(expected: Probabilities, tie: float) -> npt.NDArray[np.bool_]:
    """Which images are no ties, bool (n,); all, if there are only ties."""
    top_two = np.sort(expected, axis=1)[:, -2:]
    clear: npt.NDArray[np.bool_] = top_two[:, 1] - top_two[:, 0] > tie
    return clear if clear.any() else np.ones_like(clear)


def _beyond(
    tolerance: Tolerance,
    difference: float,
    same: npt.NDArray[np.bool_],
    clear: npt.NDArray[np.bool_],
    lost: int | None,
) -> str:
    """What is out of tolerance, in a few words; empty if nothing is."""
    if tolerance.difference is not None and not difference <= tolerance.difference:
        return f"a difference of {tolerance.difference:g} is allowed"
    if tolerance.agreement is not None and float(same[clear].mean()) < tolerance.agreement:
        return f"the same class is expected for {tolerance.agreement:.1%} of them, ties aside"
    if tolerance.lost is not None:
        # Without true classes, every image whose class changes may be a lost one.
        counted = int((~same).sum()) if lost is None else lost
        allowed = max(IMAGES_ALLOWED, int(tolerance.lost * len(same)))
        if counted > allowed:
            return f"{counted} of them are lost, and {allowed} are allowed"
    return ""


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
