"""What Optuna is asked for, one parameter at a time."""

from __future__ import annotations

import warnings

import optuna

from harness.experiment.distributions import Distribution, FloatRange, IntRange, on_a_step
from harness.records import Scalar


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
