"""Which confirmation a study has or is to have: the one that has begun, or a new one with its
configurations."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.analysis.findings import Noise
from harness.analysis.noise import noise_of
from harness.confirmation.candidates import candidates
from harness.confirmation.experiment import (
    SEEDS,
    SUFFIX,
    as_text,
    check_options,
    confirmation_name,
    confirmation_of,
)
from harness.confirmation.forecast import ConfirmationForecast, forecast
from harness.errors import StudyError
from harness.experiment.experiment import Experiment
from harness.experiment.load import with_search
from harness.paths import StudyPaths
from harness.study.event_log import read
from harness.study.opening import open_study
from harness.study.state import StudyState, fold


@dataclass(frozen=True, slots=True)
class PlannedConfirmation:
    """What `harness confirm` is to run."""

    name: str
    """Of the confirmation, which is a study of its own."""
    experiment: Experiment
    why: str
    """Which configurations, and why these, in a sentence."""
    study: StudyState
    """The one that is confirmed."""
    begun: StudyState | None
    """The confirmation so far; None if it has not begun."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be trained."""
        return self.begun is not None and self.begun.is_complete

    def sentences(self) -> list[str]:
        """What is confirmed, and on how many seeds, for people."""
        confirmation = self.experiment.confirmation
        assert confirmation is not None
        trials = ", ".join(f"{one.trial}" for one in confirmation.configurations)
        seeds = f"on {len(confirmation.seeds)} seeds each"
        said = [f"confirming {confirmation.study}: trials {trials} ({self.why}), {seeds}"]
        if not self.study.is_complete:
            said.insert(0, f"{confirmation.study} is not complete: what is confirmed is the best so far.")
        return said

    def forecast(self, workers: int) -> ConfirmationForecast:
        """What is left to be trained, and how long that takes at most on so many workers."""
        confirmation = self.experiment.confirmation
        assert confirmation is not None
        done = [
            confirmation.configurations[place[0]].trial
            for trial in (self.begun.trials.values() if self.begun else ())
            if trial.has_ended and (place := confirmation.place(trial.params, trial.seed)) is not None
        ]
        trials = [self.study.trials[one.trial] for one in confirmation.configurations]
        return forecast(self.study, trials, len(confirmation.seeds), workers, done)


def confirmed_study(name: str | None) -> StudyState:
    """The study that is meant, by default the one last active; of a confirmation, the study that it confirms.

    Raises:
        StudyError: there is no such study, or its log is damaged.
    """
    _, state = open_study(name)
    confirmed = state.experiment.confirmation
    study = state if confirmed is None else study_of(state)
    if study is None:
        assert confirmed is not None
        raise StudyError(f"The study {confirmed.study}, which {state.name} confirms, is gone.")
    return study


def study_of(confirmation: StudyState) -> StudyState | None:
    """The study that a confirmation confirms; None if it is gone, whatever has its name by now."""
    confirmed = confirmation.experiment.confirmation
    assert confirmed is not None
    log = StudyPaths.of(confirmed.study).log
    state = fold(read(log)) if log.exists() else StudyState()
    return state if state.has_begun and state.started.study_id == confirmed.study_id else None


def confirmation_state(study: StudyState) -> StudyState | None:
    """The confirmation of a study; None if there is none, or it is one of an earlier study of that name."""
    paths = StudyPaths.of(f"{study.name}{SUFFIX}")
    if not paths.log.exists():
        return None
    state = fold(read(paths.log))
    confirmed = state.experiment.confirmation if state.has_begun else None
    return state if confirmed is not None and confirmed.study_id == study.started.study_id else None


def plan_confirmation(
    study: StudyState,
    top: int | None = None,
    seeds: int | None = None,
    limit: dict[str, float | None] | None = None,
) -> PlannedConfirmation:
    """The confirmation of a study that has begun, or a new one.

    Args:
        study: to be confirmed; not a confirmation itself.
        top: how many configurations; None as of `candidates`.
        seeds: on how many seeds each is trained; None for `SEEDS`.
        limit: the key `timeout` of the section `search`, where it is to be another one.

    Raises:
        StudyError: no trial of the study is complete; or there is another study of the confirmation's name.
        UsageError: the confirmation has begun with other figures.
    """
    name = confirmation_name(study.name)
    begun = confirmation_state(study)
    if begun is not None:
        check_options(begun.experiment, _top_as_begun(study, begun, top), seeds)
        experiment = with_search(begun.experiment, dict(limit or {}))
        return PlannedConfirmation(name, experiment, "as it was begun", study, begun)
    log = StudyPaths.of(name).log
    if log.exists() and fold(read(log)).has_begun:
        raise StudyError(
            f"There is a study called {name} that confirms another one. Rename or delete the folder "
            f"{log.parent}, then type the command again."
        )
    found = noise_of(StudyPaths.of(study.name).folder, study)
    chosen = candidates(study, top, found if isinstance(found, Noise) else None)
    experiment = with_search(confirmation_of(study, chosen.trials, seeds or SEEDS), dict(limit or {}))
    return PlannedConfirmation(
        name, replace(experiment, proposed=as_text(experiment)), chosen.why, study, None
    )


def _top_as_begun(study: StudyState, begun: StudyState, top: int | None) -> int | None:
    """How many configurations a confirmation has, if it would have them by `top` again; else `top`.

    Where fewer are complete than are asked for it has begun with those, and the same command goes on with it.
    """
    confirmation = begun.experiment.confirmation
    assert confirmation is not None
    has = [one.trial for one in confirmation.configurations]
    if top is None or top <= len(has):
        return top
    return len(has) if [one.number for one in candidates(study, top).trials] == has else top
