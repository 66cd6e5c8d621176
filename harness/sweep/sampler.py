"""Optuna's samplers behind ask, pause and finish.

The study that the sampler sees lives in memory and is rebuilt from the event log, so asking costs
milliseconds and needs no database. It differs from what is stored in one thing: a paused trial is
shown as pruned at its rung, so that the sampler learns from it at once although it may yet go on.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Container
from dataclasses import dataclass

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, Trial
from optuna.trial import TrialState as OptunaState

from harness.experiment.parameters import complete
from harness.experiment.space import Distribution, FloatRange, IntRange, Space, resolve
from harness.records import Params, Scalar, TrialState
from harness.seeds import seed_from
from harness.sweep.history import TrialHistory


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One configuration to try."""

    params: Params
    """Complete parameters for training."""
    sampled: Params
    """What the sampler chose, by its own names."""
    seed: int
    """The trial's seed."""


class Sampler:
    """Suggests configurations; every call is seeded by the study's seed and the trial's number."""

    def __init__(self, space: Space, kind: str, seed: int, *, maximize: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._kind = kind
        self._seed = seed
        self._storage = _PausedAsPruned()
        self._study = optuna.create_study(
            storage=self._storage, direction="maximize" if maximize else "minimize"
        )

    def ask(self, number: int) -> Suggestion:
        """The configuration of trial `number`, which must be the next one."""
        self._study.sampler = make_sampler(self._kind, seed_from(self._seed, "ask", number))
        trial = self._study.ask()
        assert trial.number == number
        chosen, sampled = resolve(self._space, lambda name, among: suggest(trial, name, among))
        return Suggestion(complete(chosen), sampled, seed_from(self._seed, "trial", number))

    def restore(self, past: TrialHistory) -> None:
        """Take over a trial from the event log; call in the order of numbers."""
        template = _running(self._space, past.sampled)
        self._storage.create_new_trial(self._study._study_id, template_trial=template)
        if past.state in ("complete", "pruned", "failed"):
            self.finish(past.number, past.state, past.reached, past.score)
        elif past.reached and past.score is not None:
            self.pause(past.number, past.reached, past.score)

    def pause(self, number: int, epoch: int, score: float) -> None:
        """The trial has `score` at a rung and waits there."""
        self._storage.set_trial_intermediate_value(self._id(number), epoch, score)
        self._storage.paused.add(number)

    def resume(self, number: int) -> None:
        """The trial goes on."""
        self._storage.paused.discard(number)

    def finish(self, number: int, state: TrialState, epoch: int, score: float | None) -> None:
        """The trial's terminal state.

        A failed trial counts as pruned without a result, the worst there is: where training diverges
        or memory runs out, the sampler should not look again.
        """
        self._storage.paused.discard(number)
        if state == "complete" and score is not None:
            self._study.tell(number, score)
            return
        if score is not None and state != "failed":
            self._storage.set_trial_intermediate_value(self._id(number), epoch, score)
        self._storage.set_trial_state_values(self._id(number), OptunaState.PRUNED)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)


class _PausedAsPruned(InMemoryStorage):
    """Shows the trials in `paused` as pruned at their last reported value."""

    def __init__(self) -> None:
        super().__init__()
        self.paused: set[int] = set()

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[OptunaState] | None = None
    ) -> list[FrozenTrial]:
        """All trials, the paused ones in disguise."""
        trials = super().get_all_trials(study_id, deepcopy)
        shown = [_pruned(trial) if trial.number in self.paused else trial for trial in trials]
        return [trial for trial in shown if states is None or trial.state in states]


def _pruned(trial: FrozenTrial) -> FrozenTrial:
    return FrozenTrial(
        number=trial.number,
        state=OptunaState.PRUNED,
        value=trial.intermediate_values[max(trial.intermediate_values)],
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_start,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
        intermediate_values=trial.intermediate_values,
        trial_id=trial._trial_id,
    )


def make_sampler(kind: str, seed: int) -> BaseSampler:
    """An Optuna sampler by its name in experiment files."""
    if kind == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # Conditional parameters make groups of trials that share a sub-space.
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def suggest(trial: Trial, name: str, among: Distribution) -> Scalar:
    """Let the sampler choose a value."""
    if isinstance(among, IntRange):
        return trial.suggest_int(name, among.low, among.high, step=among.step or 1, log=among.log)
    if isinstance(among, FloatRange):
        return trial.suggest_float(name, among.low, among.high, step=among.step, log=among.log)
    chosen = trial.suggest_categorical(name, among.choices)
    assert chosen is not None
    return chosen


def as_optuna(among: Distribution) -> BaseDistribution:
    """The same distribution in Optuna's terms."""
    if isinstance(among, IntRange):
        return IntDistribution(among.low, among.high, log=among.log, step=among.step or 1)
    if isinstance(among, FloatRange):
        return FloatDistribution(among.low, among.high, log=among.log, step=among.step)
    return CategoricalDistribution(among.choices)


def distributions_of(space: Space, sampled: Params) -> dict[str, BaseDistribution]:
    """The distributions that these sampled values came from, by the sampler's names."""
    found: dict[str, BaseDistribution] = {}

    def replay(name: str, among: Distribution) -> Scalar:
        found[name] = as_optuna(among)
        return sampled[name]

    resolve(space, replay)
    return found


def _running(space: Space, sampled: Params) -> FrozenTrial:
    return FrozenTrial(
        number=-1,
        state=OptunaState.RUNNING,
        value=None,
        datetime_start=datetime.datetime.now(tz=datetime.UTC).replace(tzinfo=None),
        datetime_complete=None,
        params=dict(sampled),
        distributions=distributions_of(space, sampled),
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=-1,
    )
