"""The weights of two trained models compared: by their digests, and, where both files are there, number by
number."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.model_weights import read_weights, weights_digest
from harness.paths import sha256_of
from harness.records import ModelSaved

if TYPE_CHECKING:
    from harness.model_weights import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsCompared:
    """What came of comparing the weights of two models."""

    recorded: str
    """What the weights of the recorded model are recognised by (SHA-256, hex); empty if that is not known."""
    now: str
    """The same of the model that was trained again."""
    arrays: int
    """Arrays of weights in the model that was trained again."""
    differing: tuple[str, ...] = ()
    """Names of arrays that are not the same in both models."""
    largest: float | None = None
    """The largest absolute difference of any weight; None where the recorded model's file is gone, or the two
    have other arrays."""
    problem: str = ""
    """Why the recorded model's file could not be compared, as a sentence."""

    @property
    def identical(self) -> bool | None:
        """Whether all are the same to the last bit; None if that is not known."""
        return self.recorded == self.now if self.recorded else None


def compare_weights(
    recorded: ModelSaved, recorded_folder: Path, now: ModelSaved, now_folder: Path
) -> WeightsCompared:
    """Compare the model that a study has with the one that was trained again.

    Args:
        recorded: as the study's log tells it.
        recorded_folder: of the study.
        now: as it was trained again.
        now_folder: of that training.
    """
    after = read_weights(now_folder / now.file)
    before, problem = _recorded_weights(recorded, recorded_folder / recorded.file)
    if before is None:
        return WeightsCompared(
            recorded=recorded.weights_sha256, now=weights_digest(after), arrays=len(after), problem=problem
        )
    fitting = {name: array.shape for name, array in before.items()} == {
        name: array.shape for name, array in after.items()
    }
    return WeightsCompared(
        recorded=weights_digest(before),
        now=weights_digest(after),
        arrays=len(after),
        differing=tuple(sorted(_differing(before, after))),
        largest=_largest(before, after) if fitting else None,
        problem="" if fitting else "The two models have other arrays of weights.",
    )


def _recorded_weights(recorded: ModelSaved, file: Path) -> tuple[Weights | None, str]:
    """The weights in a study's file, or why they cannot be had."""
    try:
        if sha256_of(file) != recorded.sha256:
            return None, f"The model {file} is not the one that was recorded: its SHA-256 differs."
        weights = read_weights(file)
    except FileNotFoundError:
        return None, f"The model {file} is not there any more."
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        return None, f"The model {file} cannot be read: {error}."
    if recorded.weights_sha256 not in ("", weights_digest(weights)):
        return None, f"The weights in {file} are not those that the log tells of."
    return weights, ""


def _differing(before: Weights, after: Weights) -> set[str]:
    """Names of arrays that only one has, or whose bytes differ."""
    return {
        name
        for name in before.keys() | after.keys()
        if name not in before or name not in after or before[name].tobytes() != after[name].tobytes()
    }


def _largest(before: Weights, after: Weights) -> float:
    """The largest absolute difference of two weights; NaN beside a number counts as infinite."""
    import numpy as np

    largest = 0.0
    for name, array in before.items():
        one, other = array.astype(np.float64), after[name].astype(np.float64)
        with np.errstate(invalid="ignore"):
            apart = np.where((one == other) | (np.isnan(one) & np.isnan(other)), 0.0, np.abs(one - other))
        if apart.size:
            largest = max(largest, float(np.nan_to_num(apart, nan=np.inf).max()))
    return largest
