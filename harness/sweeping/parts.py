"""The parts of a sweep, each made from the experiment: sampler, scheduler, policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.errors import StudyError
from harness.experiment.experiment import Experiment
from harness.paths import StudyPaths
from harness.schedulers import SCHEDULERS
from harness.schedulers.fold_race import FoldRace
from harness.schedulers.protocol import Scheduler
from harness.study.event_log import read
from harness.study.names import check_name
from harness.study.opening import unknown_study
from harness.study.state import fold
from harness.sweeping.admission import Admission
from harness.sweeping.asynchronous import AsynchronousPolicy
from harness.sweeping.costs_known import KnownCosts
from harness.sweeping.last_cycles import least_epochs
from harness.sweeping.ordered import OrderedPolicy
from harness.sweeping.policy import Policy
from harness.sweeping.replicates import ReplicatesPolicy

if TYPE_CHECKING:  # Optuna is imported while workers import TensorFlow
    from harness.sweeping.samplers.sampler import Sampler


def make_sampler(experiment: Experiment, note: Callable[[str], None]) -> Sampler:
    """The sampler, with what it learns from the studies of `search.warm_start`.

    Raises:
        ExperimentError: the sampler lacks a package, or cannot list the space.
        StudyError: a study to learn from does not exist or had other objectives.
    """
    from harness.sweeping.samplers.sampler import Sampler

    sampler = Sampler(
        experiment.space,
        experiment.search.sampler,
        experiment.seed,
        objectives=experiment.objectives,
        start_with=experiment.start_with,
    )
    for other in experiment.search.warm_start:
        note(_warm_start(sampler, experiment, other))
    return sampler


def _warm_start(sampler: Sampler, experiment: Experiment, name: str) -> str:
    """Teach the sampler what another study found; says how much that was."""
    paths = StudyPaths.of(check_name(name))
    if not paths.log.exists():
        raise StudyError(f"search.warm_start: {unknown_study(name)}")
    other = fold(read(paths.log))
    if not other.has_begun or other.experiment.objectives != experiment.objectives:
        raise StudyError(
            f"search.warm_start: the study {name} had other objectives, so it cannot be compared."
        )
    learned = sampler.warm_start(other)
    return f"warm start: {learned} of the {len(other.trials)} trials of {name} fit the space"


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
    return AsynchronousPolicy(sampler, scheduler, trials, admission, anneals)
