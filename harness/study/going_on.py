"""The command with which a study goes on."""

from __future__ import annotations

from harness.study.limits import UsedUp
from harness.study.state import StudyState


def command_to_go_on(state: StudyState, limit: UsedUp | None = None) -> str:
    """What to type: a confirmation goes on by the command that also says what it has found.

    Args:
        state: of the study, which must have begun.
        limit: what keeps it from going on, if a limit does.
    """
    confirmed = state.experiment.confirmation
    command = f"harness confirm {confirmed.study}" if confirmed else f"harness resume {state.name}"
    return f"{command} {limit.raised_by}" if limit else command
