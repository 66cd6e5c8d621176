"""When a trial whose `unfreeze` is above 0 begins to train its backbone."""

from __future__ import annotations

from harness.experiment.experiment import Experiment


def unfreezing_epoch(experiment: Experiment, cycles: tuple[int, ...]) -> int:
    """The last epoch that trains the head alone.

    It is the one that the file names, or else the one at which a trial is promoted to its last rung. Without
    rungs it is half of all epochs.

    Args:
        experiment: what is searched.
        cycles: of the trial, as its scheduler says (`Scheduler.cycles`): where trials are compared, a cycle
            ends.
    """
    named = experiment.training.unfreeze_at
    if named is not None:
        return named
    return cycles[-2] if len(cycles) > 1 else max(1, experiment.training.epochs // 2)
