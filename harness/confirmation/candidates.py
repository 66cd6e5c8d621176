"""Which configurations of a study are worth confirming: those that its validation images cannot tell
apart."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.findings import Noise
from harness.comparison.seeds import CONFIDENCE
from harness.errors import StudyError
from harness.study.state import StudyState
from harness.study.trial import Trial

MOST = 5
"""Configurations that are confirmed unless more are asked for."""
SHARES = ("val_accuracy",)
"""Objectives that are a share of the validation images, so that their intervals are known."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Trials whose configurations are to be confirmed."""

    trials: tuple[Trial, ...]
    """The best first."""
    why: str
    """How many they are, and why, in a sentence."""


def candidates(state: StudyState, top: int | None = None, noise: Noise | None = None) -> Candidates:
    """The best complete trials of a study, each configuration once.

    Args:
        state: of the study.
        top: how many; None for those that the validation images cannot tell from the best, at most `MOST`.
        noise: what the trials' predictions for these images say; None if they are not stored: then the
            interval of the best score decides.

    Raises:
        StudyError: no trial is complete, or none has a score.
    """
    ranked, noun = _ranked(state), state.started.dataset.noun
    if not ranked and any(trial.state == "complete" for trial in state.trials.values()):
        raise StudyError(
            f"The trials of the study {state.name} have no scores, for there were no validation {noun}s, so "
            f"that nothing could be ranked. Evaluate the model as it is: harness confirm {state.name} --as-is"
        )
    if not ranked:
        raise StudyError(
            f"No trial of the study {state.name} is complete, so there is nothing to confirm. Go on with it: "
            f"harness resume {state.name}"
        )
    if top is not None:
        fewer = "" if len(ranked) >= top else f"; no more than {len(ranked)} are complete"
        return Candidates(
            tuple(ranked[:top]), f"the best {min(top, len(ranked))} by the sweep's scores{fewer}"
        )
    images = state.started.dataset.counts.get("validation", 0)
    if noise is not None:
        by = (
            f"{noise.images:,} {noun}s, predicted out of fold,"
            if noise.folds
            else _validation(noise.images, noun)
        )
        return _alike(ranked, {noise.best, *noise.tied}, by, f"{noun} by {noun}")
    if state.objective.name not in SHARES or not images:
        chosen = ranked[:MOST]
        return Candidates(tuple(chosen), f"the best {len(chosen)} by the sweep's scores")
    low = _lowest(ranked[0].score or 0.0, images)
    within = {trial.number for trial in ranked if trial.score is not None and trial.score >= low}
    return _alike(ranked, within, _validation(images, noun), f"all above {low:.4f}")


def _validation(images: int, noun: str) -> str:
    return f"{images:,} validation {noun}s"


def _alike(ranked: list[Trial], numbers: set[int], images: str, how: str) -> Candidates:
    """The trials with these numbers, the best first, at most `MOST`; `images`: what they are judged by."""
    alike = [trial for trial in ranked if trial.number in numbers]
    if len(alike) == 1:
        return Candidates((alike[0],), f"{images} tell the sweep's best from all others")
    chosen = alike[:MOST]
    most = f"; {len(alike) - MOST} more are as near" if len(alike) > MOST else ""
    return Candidates(
        tuple(chosen),
        f"the best {len(chosen)}, which {images} cannot tell apart: {how}{most}",
    )


def _ranked(state: StudyState) -> list[Trial]:
    """Complete trials with a score, the best first; of several with one configuration the best.

    With folds, those count with them that had all folds and were not trained on all images.
    """
    complete = [
        trial
        for trial in state.trials.values()
        if (trial.state == "complete" or (trial.all_folds and trial.state == "pruned"))
        and trial.score is not None
    ]
    complete.sort(key=lambda trial: -state.objective.larger_is_better(trial.score or 0.0))
    found: list[Trial] = []
    for trial in complete:
        if all(trial.params != other.params for other in found):
            found.append(trial)
    return found


def _lowest(share: float, images: int) -> float:
    """The lower end of Wilson's interval of a share of so many images."""
    from scipy.stats import binomtest

    count = round(share * images)
    return float(binomtest(count, images).proportion_ci(CONFIDENCE, method="wilson").low)
