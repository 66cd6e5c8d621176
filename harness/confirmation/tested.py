"""What the chosen configuration is worth on images that nothing was chosen by."""

from __future__ import annotations

from dataclasses import dataclass

from harness.comparison.seeds import CONFIDENCE, Interval
from harness.metrics import VALIDATION
from harness.study.state import StudyState


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A model on the test images."""

    trial: int
    """The trial of the confirmation whose model it is."""
    images: int
    accuracy: float
    interval: Interval
    """Of the accuracy: Wilson's, for so many images."""
    metric: str
    """The objective's metric, without the prefix of the validation split."""
    value: float
    openings: int
    """Models of the confirmation that were evaluated on the test images."""
    earlier: int
    """Models of the study that it confirms that were."""


def tested(state: StudyState, trial: int, study: StudyState | None) -> Tested | None:
    """What the log of a confirmation says of a trial's model on the test images; None if it says nothing.

    Args:
        state: of the confirmation.
        trial: one of its trials.
        study: the one that is confirmed, if it is still there.
    """
    from scipy.stats import binomtest

    opening = state.openings.get(trial)
    if opening is None or opening.evaluation is None:
        return None
    metrics = opening.evaluation.metrics
    metric = state.objective.name.removeprefix(VALIDATION)
    right = round(metrics["accuracy"] * opening.images)
    found = binomtest(right, opening.images).proportion_ci(CONFIDENCE, method="wilson")
    return Tested(
        trial=trial,
        images=opening.images,
        accuracy=metrics["accuracy"],
        interval=Interval(float(found.low), float(found.high)),
        metric=metric,
        value=metrics[metric],
        openings=len(state.test_openings),
        earlier=0 if study is None else len(study.test_openings),
    )
