"""The learning rate's course in a study whose file says nothing of it.

Where trials are compared at rungs, the rate comes down at each of them (`cycle_per_rung`), so that what is
compared has come to rest; else it is the catalog's default. Decided when a study begins, and recorded in its
space: what is read from a log means what it did when it was written.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.experiment.experiment import Experiment
from harness.experiment.load import changed
from harness.experiment.space_conditions import possible_values
from harness.schedulers import SCHEDULERS
from harness.study.state import StudyState

AT_RUNGS = "cycle_per_rung"
NAME = "schedule"


def with_schedule(experiment: Experiment, state: StudyState, note: Callable[[str], None]) -> Experiment:
    """The experiment with the schedule that a study needs whose trials are compared at rungs.

    Nothing changes where the space names `schedule`; where no trials are compared before their ends; and
    where the space has a `patience`, which would take a cycle's rise for the end of all progress.

    Args:
        experiment: whatever its file says.
        state: the study so far; if it has begun, a schedule that its space names holds, and none that it
            does not.
        note: told the schedule, and why it is this one.
    """
    kind = experiment.scheduler.kind
    at_rungs = SCHEDULERS[kind].compares_at_rungs and experiment.dataset.folds is None
    if not at_rungs or NAME in experiment.space.parameters:
        return experiment
    if state.has_begun:
        recorded = state.experiment.config.space.get(NAME)
        if not isinstance(recorded, str):  # none, or one that was searched and is not any more
            return experiment
        schedule, why = recorded, "as the study began"
    elif possible_values(experiment.space.parameters.get("patience", ())) not in (set(), {0}):
        note(f"{NAME}: constant (with a patience; {AT_RUNGS} raises the loss at the beginning of each cycle)")
        return experiment
    else:
        schedule = AT_RUNGS
        why = (
            f"{kind} compares trials at rungs, and the space says nothing else; --set space.{NAME}=constant "
            "for a rate that stays"
        )
    note(f"{NAME}: {schedule} ({why})")
    return changed(experiment, space=experiment.config.space | {NAME: schedule})
