"""What the best score is worth: which trials are as good, and how much of it is luck.

All of it is computed from the predictions that trials leave beside their models, so the studies of versions
that left none can be ranked, but not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.analysis.findings import Noise, Unknown, images_that_judge, is_by_image
from harness.study.state import StudyState, best
from harness.study.trial import Trial

FEWEST_IMAGES = 10
"""Validation images below which nothing is said."""
_NO_FOLDS = (
    "How much of the best score is luck is not known: what the models of the folds predicted was not "
    "stored. An earlier version has trained them, or they were too large to be kept."
)


def noise_of(folder: Path, state: StudyState) -> Noise | Unknown:
    """Judge the scores of a study by the first objective.

    Args:
        folder: of the study.
        state: of the study, which must have begun.
    """
    champion = best(state)
    scored = [one for one in state.trials.values() if _is_whole(one) and one.score is not None]
    if champion is None or len(state.trials) == 1:
        return Unknown("")
    reason = _why_not(state, scored)
    if reason is not None:
        return Unknown(reason)
    from harness.analysis.compared import judged, values_by_trial  # which takes NumPy

    found = values_by_trial(folder, state, scored)
    missing = champion.number not in found
    if missing or len(found) == 1:
        who = f"trial {champion.number}, the best one," if missing else "any other trial than the best one"
        return Unknown(
            f"What the best score is worth is not known: no stored predictions of {who} were found."
        )
    return judged(champion, found, state, len(scored))


def _is_whole(trial: Trial) -> bool:
    """Whether a trial has a score that trials are ranked by: it is complete, or it has all folds."""
    return trial.state == "complete" or (trial.all_folds and trial.failure is None)


def _why_not(state: StudyState, scored: Sequence[Trial]) -> str | None:
    """Why nothing can be said of scores; empty where nobody would expect anything. None: something can."""
    if not any(one.fold_predictions or (one.model and one.model.predictions) for one in scored):
        return _NO_FOLDS if state.folds.parts else ""  # they are of an earlier version, or too large
    if len(scored) == 1:
        which = "has all folds" if state.folds.parts else "is complete"
        return f"How much of the best score is luck is not known: 1 of {len(state.trials)} trials {which}."
    name = state.objective.name
    if not is_by_image(name):
        return f"How much of a score is luck is not known for {name}."
    images = images_that_judge(state.started.dataset)
    if images < FEWEST_IMAGES:
        return (
            f"With {images} validation {state.started.dataset.noun}s nothing can be said of what a score "
            "is worth."
        )
    return None
