"""How much each parameter mattered, by Optuna's analysis of variance."""

from __future__ import annotations

import warnings

import optuna

from harness.study.state import StudyState
from harness.tracking.optuna_space import distributions_of

FEWEST = 4
"""Trials with a score below which nothing can be said."""


def importances(state: StudyState) -> dict[str, float]:
    """Shares by the sampler's parameter names, largest first; empty if there are too few trials.

    Complete and pruned trials count with their last score, those of an earlier space that does not fit
    the present one not at all.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction=state.objective.direction)
    for trial in state.trials.values():
        if trial.score is None or trial.state not in ("complete", "pruned"):
            continue
        try:
            distributions = distributions_of(state.experiment.space, trial.sampled)
        except ValueError:
            continue
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(trial.sampled), distributions=distributions, value=trial.score
            )
        )
    if len(study.trials) < FEWEST:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return optuna.importance.get_param_importances(study)
        except (RuntimeError, ValueError):
            return {}  # nothing varies
