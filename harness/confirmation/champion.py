"""The champion of a study: the training of the confirmed configuration whose model stands for it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.confirmation.planning import confirmation_state, study_of
from harness.confirmation.results import Findings, findings
from harness.confirmation.tested import Tested, tested
from harness.study.state import StudyState


@dataclass(frozen=True, slots=True)
class Champion:
    """What a confirmation that is complete has chosen."""

    confirmation: StudyState
    found: Findings
    trial: int
    """The champion's number in the confirmation."""
    tested: Tested | None
    """None if its model was not evaluated on the test images."""


def champion_of(state: StudyState) -> Champion | None:
    """The champion of a study, or of a confirmation; None if there is no confirmation, or it has not ended.

    Args:
        state: of either.
    """
    is_confirmation = state.experiment.confirmation is not None
    confirmation = state if is_confirmation else confirmation_state(state)
    if confirmation is None or not confirmation.is_complete:
        return None
    found = findings(confirmation)
    if found.champion is None:
        return None
    study = study_of(state) if is_confirmation else state
    return Champion(confirmation, found, found.champion, tested(confirmation, found.champion, study))
