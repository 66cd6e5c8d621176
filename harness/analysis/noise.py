"""What the best score is worth: which trials are as good, and how much of it is luck.

All of it is computed from the predictions that trials leave beside their models, so the studies of versions
that left none can be ranked, but not judged.
"""

from __future__ import annotations

from pathlib import Path

from harness.analysis.findings import Noise, Unknown, is_by_image
from harness.study.state import StudyState, best

FEWEST_IMAGES = 10
"""Validation images below which nothing is said."""


def noise_of(folder: Path, state: StudyState) -> Noise | Unknown:
    """Judge the scores of a study by the first objective.

    Args:
        folder: of the study.
        state: of the study, which must have begun.
    """
    champion = best(state)
    scored = [one for one in state.trials.values() if one.state == "complete" and one.score is not None]
    kept = any(one.model is not None and one.model.predictions for one in scored)
    if champion is None or len(state.trials) == 1 or not kept:
        return Unknown("")  # an earlier version trained them, or the predictions are too large
    if len(scored) == 1:
        return Unknown(
            f"How much of the best score is luck is not known: 1 of {len(state.trials)} trials is complete."
        )
    name = state.objective.name
    if not is_by_image(name):
        return Unknown(f"How much of a score is luck is not known for {name}.")
    images = state.started.dataset.counts.get("validation", 0)
    if images < FEWEST_IMAGES:
        return Unknown(f"With {images} validation images nothing can be said of what a score is worth.")
    from harness.analysis.compared import judged, values_by_trial  # which takes NumPy

    found = values_by_trial(folder, state, scored)
    missing = champion.number not in found
    if missing or len(found) == 1:
        who = f"trial {champion.number}, the best one," if missing else "any other trial than the best one"
        return Unknown(
            f"What the best score is worth is not known: no stored predictions of {who} were found."
        )
    return judged(champion, found, state, len(scored))
