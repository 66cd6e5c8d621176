"""Choose a trial of a study: the best one, or one by its number."""

from __future__ import annotations

from harness.errors import StudyError
from harness.study.state import StudyState, best
from harness.study.trial import Trial


def choose_trial(state: StudyState, number: int | None = None) -> Trial:
    """The trial with this number, or the best one of those that are complete, or the only one of them.

    Args:
        state: of a study that has begun.
        number: of the trial, from 0; None for the best one.

    Raises:
        StudyError: there is no such trial, none is complete yet, or none of several has a score.
    """
    if number is None:
        complete = [trial for trial in state.trials.values() if trial.state == "complete"]
        winner = best(state)
        if winner is None and len(complete) == 1:  # it may have no score, for want of validation images
            return complete[0]
        if winner is None and complete:
            raise StudyError(
                f"No complete trial of the study {state.name} has a score, so none of them is the best; name "
                "one by its number."
            )
        if winner is None:
            raise StudyError(f"No trial of the study {state.name} is complete, so none of them is the best.")
        return winner
    if not state.trials:
        raise StudyError(f"The study {state.name} has no trial {number}, nor any other yet.")
    if number not in state.trials:
        raise StudyError(
            f"The study {state.name} has no trial {number}; its trials are 0 to {max(state.trials)}."
        )
    return state.trials[number]
