"""The parts of a sweep, each made from the experiment: sampler, scheduler, policy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.experiment.experiment import Experiment
from harness.records import WarmStart
from harness.schedulers import SCHEDULERS
from harness.schedulers.fold_race import FoldRace
from harness.schedulers.protocol import Scheduler
from harness.sweeping.admission import Admission
from harness.sweeping.asynchronous import AsynchronousPolicy
from harness.sweeping.costs_known import KnownCosts
from harness.sweeping.last_cycles import least_epochs
from harness.sweeping.ordered import OrderedPolicy
from harness.sweeping.policy import Policy
from harness.sweeping.replicates import ReplicatesPolicy
from harness.sweeping.warm_start import with_priors

if TYPE_CHECKING:  # Optuna is imported while workers import TensorFlow
    from harness.sweeping.samplers.sampler import Sampler


def make_sampler(experiment: Experiment, learned: WarmStart | None = None) -> Sampler:
    """The sampler, with what the study has learned from others.

    Raises:
        ExperimentError: the sampler lacks a package, or cannot list the space.
    """
    from harness.sweeping.samplers.sampler import Sampler

    sampler = Sampler(
        with_priors(experiment.space, learned),
        experiment.search.sampler,
        experiment.seed,
        objectives=experiment.objectives,
        start_with=experiment.start_with,
        found_before=learned.starts if learned else (),
    )
    if learned is not None:
        sampler.warm_start(learned.trials)
    return sampler


def make_scheduler(experiment: Experiment) -> Scheduler:
    """The scheduler that the experiment names; with folds, which are the rungs then, a race over them."""
    folds = experiment.folds
    if folds.parts:
        judging = experiment.scheduler.kind != "none"
        return FoldRace(folds.number, folds.epochs, judging=judging)
    kind = SCHEDULERS[experiment.scheduler.kind]
    return kind.build(experiment.scheduler, experiment.training.epochs, experiment.objective.maximize)


def make_policy(
    experiment: Experiment, sampler: Sampler, window: int, costs: KnownCosts, memory: float
) -> Policy:
    """The policy that asks sampler and scheduler; or the one of a confirmation, which has its list.

    Args:
        experiment: what is searched.
        sampler: as `make_sampler` has made it.
        window: in ordered mode, the segments after whose outcome a decision is taken; else 0.
        costs: what is known of configurations before they are trained. In ordered mode it must not matter.
        memory: bytes that training may take in a worker.
    """
    if experiment.confirmation is not None:
        return ReplicatesPolicy(
            experiment.confirmation, experiment.folds.all_epochs, experiment.objective.maximize
        )
    scheduler, trials = make_scheduler(experiment), experiment.search.trials
    if window:
        return OrderedPolicy(AsynchronousPolicy(sampler, scheduler, trials), window)
    # With folds nothing is shortened: a score is a mean over equal trainings.
    anneals = getattr(experiment.scheduler, "anneal", "none") == "auto" and not experiment.folds.parts
    rungs = scheduler.rungs
    admission = Admission(costs, rungs[0], least_epochs(rungs) if anneals else rungs[-1], memory)
    most = experiment.search.max_trial_seconds or math.inf
    return AsynchronousPolicy(sampler, scheduler, trials, admission, anneals, most)
