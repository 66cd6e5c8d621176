"""From what a person names, a study, a run or a model in MLflow, to the trial that is meant."""

from __future__ import annotations

import re

from harness.confirmation.champion import champion_of
from harness.errors import UsageError
from harness.paths import StudyPaths, study_names, tracking_uri
from harness.study.choosing import choose_trial
from harness.study.opening import open_study
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.tracking.mlflow_registered import SCHEME, run_of_model
from harness.tracking.origin import trial_of_run

_RUN = re.compile(r"[0-9a-f]{32}")


def names_trial(named: str) -> bool:
    """Whether this is an address in MLflow, a study's name, or the id of a run (which may not exist)."""
    return named.startswith(SCHEME) or named in study_names() or _RUN.fullmatch(named) is not None


def named_trial(named: str | None, number: int | None = None) -> tuple[StudyPaths, StudyState, Trial]:
    """The study that is meant, and its trial.

    Args:
        named: a study's name, for its champion if it has been confirmed, else its best trial; the whole id of
            a trial's run in MLflow; or an address there such as `models:/pets@champion`, whose study is here.
            None: the study last active.
        number: of a trial of the study, instead of the best one.

    Raises:
        UsageError: a number was given, but what is named is a trial already; or the address is of another
            form.
        StudyError: there is no such study, trial, run or model.
        ExportError: MLflow has another model for the trial than the study.
        StoreError: the MLflow store cannot work as it is set up.
        UnreachableError: it is away.
    """
    if named is None or named in study_names() or not names_trial(named):
        return _of_study(named, number)
    if number is not None:
        raise UsageError(f"{named} says which trial it is; leave --trial out.")
    return trial_of_run(run_of_model(tracking_uri(), named) if named.startswith(SCHEME) else named)


def _of_study(name: str | None, number: int | None) -> tuple[StudyPaths, StudyState, Trial]:
    """A trial by its number, else what a confirmation has chosen, else the sweep's best."""
    paths, state = open_study(name)
    champion = champion_of(state) if number is None else None
    if champion is not None:  # what was confirmed, instead of what was luckiest in the sweep
        state, number = champion.confirmation, champion.trial
        paths = StudyPaths.of(state.name)
    return paths, state, choose_trial(state, number)
