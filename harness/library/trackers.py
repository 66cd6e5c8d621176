"""Warnings about stores that could not be brought up to date."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from harness.paths import StudyPaths


def warn_of_trackers(behind: Sequence[str], paths: StudyPaths) -> None:
    """Warn whoever called the public method that calls this.

    Args:
        behind: sentences about trackers that are behind; none: nothing happens.
        paths: of the study.
    """
    if behind:
        message = f"{' '.join(behind)} Finish it with: harness sync {paths.folder.name}"
        warnings.warn(message, stacklevel=3)
