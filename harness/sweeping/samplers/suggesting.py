"""What Optuna is asked for, one parameter at a time."""

from __future__ import annotations

import datetime
import warnings

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from harness.experiment.distributions import Constant, Distribution, FloatRange, IntRange, on_a_step
from harness.experiment.space import Space
from harness.records import Params, Scalar
from harness.tracking.optuna_space import distributions_of


def suggest(trial: optuna.Trial, name: str, among: Distribution) -> Scalar:
    """Let the sampler choose a value for the parameter `name` of a trial."""
    if isinstance(among, IntRange):
        return trial.suggest_int(name, among.low, among.high, step=among.step or 1, log=among.log)
    if isinstance(among, FloatRange):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a last step that is a rounding error away from the range's end
            value = trial.suggest_float(name, among.low, among.high, step=among.step, log=among.log)
        return value if among.step is None else on_a_step(among, value)
    chosen = trial.suggest_categorical(name, among.choices)
    assert chosen is not None
    return chosen


def by_sampler_names(space: Space, start: Params) -> Params:
    """The values of a start under every name that the sampler may ask for."""
    return {
        alternative.sampled_as: start[name]
        for name, alternatives in space.parameters.items()
        if name in start
        for alternative in alternatives
        if not isinstance(alternative.values, Constant)
    }


def running(space: Space, sampled: Params) -> FrozenTrial:
    """A trial that Optuna is to take for one that it has suggested."""
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
