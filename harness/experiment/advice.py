"""Advice about an experiment that is allowed as it is, but throws away what would win, or does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.distributions import Constant, every
from harness.experiment.parameters import CATALOG
from harness.experiment.samplers import SAMPLERS
from harness.experiment.space import Alternative, Space
from harness.experiment.space_conditions import possible_values
from harness.messages import and_list
from harness.schedulers import DEFAULT_SCHEDULER, SCHEDULERS
from harness.schedulers.kind import SchedulerSettings

OVER_ALL_EPOCHS = ("step", "cosine", "one_cycle")
"""Values of `schedule` whose rate after so many epochs depends on how many there are to be in all."""


def unfreeze_advice(space: Space, epochs: int, unfreeze_at: int | None) -> list[str]:
    """A sentence where a backbone is to be unfrozen, and cannot be.

    Args:
        space: what is searched.
        epochs: of a full training.
        unfreeze_at: what the file says of it; None: nothing.
    """
    blocks = possible_values(space.parameters["unfreeze"]) if "unfreeze" in space.parameters else {0}
    if blocks == {0}:
        nothing = "training.unfreeze_at: it has no effect, because the space has no unfreeze above 0."
        return [] if unfreeze_at is None else [nothing]
    if epochs > 1:
        return []
    return ["space.unfreeze: it has no effect in a training of one epoch, in which the head is trained."]


def prior_advice(space: Space, written: Mapping[str, Any], sampler: str) -> list[str]:
    """Sentences where a space says what is probably good, and it is of no use.

    Args:
        space: what is searched.
        written: the same, as the file has it.
        sampler: its name, which may listen to no priors.
    """
    return _of_no_optimizer(space, written.get("learning_rate")) + _unheard(space, sampler)


def _of_no_optimizer(space: Space, rates: Any) -> list[str]:
    said = rates.get("prior") if isinstance(rates, dict) and rates.get("type") == "auto" else None
    usual = (Alternative("optimizer", Constant(CATALOG["optimizer"].default)),)
    searched = possible_values(space.parameters.get("optimizer", usual))
    if searched is None or not (unused := [name for name in said or () if name not in searched]):
        return []
    return [
        f"space.learning_rate.prior: what it says of {and_list(unused)} has no effect, because the space has "
        f"no such optimizer; it has {and_list(sorted(map(str, searched)))}."
    ]


def _unheard(space: Space, sampler: str) -> list[str]:
    if SAMPLERS[sampler].takes_priors or not space.priors:
        return []
    names = list(dict.fromkeys(name.partition("[")[0] for name in space.priors))
    listening = and_list([name for name, kind in SAMPLERS.items() if kind.takes_priors])
    return [
        f"space: the priors of {and_list(names)} have no effect, because the sampler {sampler} goes by no "
        f"priors; {listening} do."
    ]


def schedule_advice(space: Space, scheduler: str) -> list[str]:
    """A sentence where trials are compared at rungs although their learning rates are not comparable there.

    A rate that is to come down at the end of the training is still high at an early rung, or has not risen
    yet: of 20 configurations of CIFAR-10, trained with each schedule, one_cycle was the worst after the first
    of nine epochs and the best after the last.

    Args:
        space: what is searched.
        scheduler: its kind.
    """
    if not SCHEDULERS[scheduler].compares_at_rungs:
        return []
    found = [
        value
        for alternative in space.parameters.get("schedule", ())
        for value in (
            [alternative.values.value]
            if isinstance(alternative.values, Constant)
            else every(alternative.values)
        )
    ]
    known = [str(name) for name in CATALOG["schedule"].choices if name in found]
    if len(known) < 2 or not set(known) & set(OVER_ALL_EPOCHS):
        return []
    listed = f"{', '.join(known[:-1])} and {known[-1]}"
    return [
        f"space.schedule: {scheduler} compares trials at rungs, where the learning rates of {listed} are at "
        "different points of their courses, so that the best may be left behind. Search with one of them, or "
        "leave space.schedule out: it is cycle_per_rung then, whose rate comes down at every rung."
    ]


def folds_advice(dataset: DatasetConfig, scheduler: SchedulerSettings) -> list[str]:
    """Sentences about what a file with folds says that has no effect with them.

    Args:
        dataset: its section, with folds.
        scheduler: its section.
    """
    said = []
    if "validation_fraction" in dataset.model_fields_set:
        said.append(
            "dataset.validation_fraction: it has no effect with dataset.folds; each fold is validated on "
            f"one of {dataset.folds} parts."
        )
    usual = scheduler.kind in (DEFAULT_SCHEDULER, "none")
    without_effect = sorted(scheduler.model_fields_set - ({"kind"} if usual else set()))
    if without_effect:
        listed = ", ".join(f"scheduler.{name}" for name in without_effect)
        said.append(
            f"{listed}: no effect with dataset.folds, where trials are compared at the ends of folds. "
            "scheduler.kind=none trains every trial on all of them."
        )
    return said
