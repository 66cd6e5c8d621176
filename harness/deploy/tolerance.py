"""How far an exported model may be from the trained one, by how its numbers are stored."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Limits within which a format counts as the trained model."""

    difference: float | None = None
    """Largest difference of a probability; None: only classes count."""
    agreement: float | None = None
    """Least share of images with the class that the trained model gives, ties aside, or of all images if
    there are only ties; None: classes may differ, and what counts is how many images are lost."""
    tie: float = 2e-4
    """Two classes whose probabilities the trained model has closer than this count as a tie, where either may
    come first."""
    lost: float | None = None
    """Largest share of images that may be lost, which the trained model gets right and this one does not,
    less those won; two images are always allowed. None: it does not count."""


NEAR = 1e-4
"""Largest difference of a probability that float32 may make."""
FLOAT32 = Tolerance(difference=NEAR, agreement=1.0)
FLOAT16 = Tolerance(agreement=0.995)
INT8 = Tolerance(agreement=0.9, tie=0.1, lost=0.02)
"""Rounding to 256 steps turns many of the classes that a model is unsure of, as often for the better."""
IMAGES_ALLOWED = 2
"""Images that a quantised model may lose however few there are."""
