"""What contradicts a study's state in its trials in Optuna's storage."""

from __future__ import annotations

from harness.study.state import StudyState
from harness.tracking.tracker import Audit, Findings


def compare(state: StudyState, states: dict[int, str]) -> Audit:
    """What contradicts the study's state in Optuna's states of its trials, by their numbers."""
    expected = {
        number: {"complete": "complete", "pruned": "pruned", "failed": "fail"}.get(trial.state, "running")
        for number, trial in state.trials.items()
    }
    for number, trial in state.trials.items():
        # Optuna has no complete trial without a value, as one is for which there are no validation images.
        if trial.state == "complete" and trial.values is None and states.get(number) == "fail":
            expected[number] = "fail"
    running = [number for number, found in states.items() if found == "running"]
    return Audit(
        unfinished=Findings(
            tuple(f"Optuna's trial {number} is running" for number in running if state.is_complete)
        ),
        states=Findings(
            tuple(
                f"trial {number} is {expected.get(number, 'unknown')} in the log, "
                f"{states.get(number, 'missing')} in Optuna"
                for number in sorted(expected.keys() | states.keys())
                if expected.get(number) != states.get(number)
            )
        ),
    )
