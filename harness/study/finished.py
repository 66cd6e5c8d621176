"""A finished model of a study, be it a trial's or an ensemble's: what is evaluated, exported and tracked."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import StudyError
from harness.records import EnsembleSaved, TestOpened
from harness.study.choosing import choose_trial
from harness.study.state import StudyState
from harness.study.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedModel:
    """A model that is durable in its study."""

    trial: int | None
    """The trial's number; None if it is an ensemble's."""
    ensemble: int | None
    """The ensemble's number; None if it is a trial's."""
    epoch: int
    """The epoch after which it was saved; 0 of an ensemble's."""
    file: str
    """Path of the `.keras` file relative to the study's folder."""
    sha256: str

    @property
    def name(self) -> str:
        """Such as `trial 3` or `ensemble 0`."""
        return f"ensemble {self.ensemble}" if self.trial is None else f"trial {self.trial}"

    @property
    def arguments(self) -> str:
        """What names it on the command line of `harness confirm --as-is`, such as `3` or `--ensemble`."""
        return "--ensemble" if self.trial is None else f"{self.trial}"

    def opening(self, state: StudyState) -> TestOpened | None:
        """What the study's log says of the test set having been opened for it; None if it never was."""
        if self.trial is not None:
            return state.openings.get(self.trial)
        assert self.ensemble is not None
        return state.ensemble_openings.get(self.ensemble)


def finished_trial(state: StudyState, number: int | None = None) -> FinishedModel:
    """The model of a trial that was trained to its end, by default of the best one.

    Raises:
        StudyError: there is no such trial, or it is not complete.
    """
    trial = choose_trial(state, number)
    if trial.state != "complete" or trial.model is None:
        raise StudyError(
            f"Trial {trial.number} of {state.name} is {_standing(trial)}, so it has no final model to "
            f"evaluate. The complete ones are shown by: harness leaderboard {state.name}"
        )
    model = trial.model
    return FinishedModel(
        trial=trial.number, ensemble=None, epoch=model.epoch, file=model.file, sha256=model.sha256
    )


def _standing(trial: Trial) -> str:
    return "complete without a model" if trial.state == "complete" else trial.state


def latest_ensemble(state: StudyState) -> EnsembleSaved:
    """The ensemble that was made last; raises StudyError if there is none."""
    if not state.ensembles:
        raise StudyError(
            f"The study {state.name} has no ensemble yet. Make one of its trials' models: harness ensemble "
            f"{state.name}"
        )
    return state.ensembles[-1]


def finished_ensemble(ensemble: EnsembleSaved) -> FinishedModel:
    """The model of an ensemble."""
    return FinishedModel(
        trial=None, ensemble=ensemble.number, epoch=0, file=ensemble.file, sha256=ensemble.sha256
    )


def members_in_words(ensemble: EnsembleSaved) -> str:
    """Whose models it averages, such as `trials 7 (×3), 2 and 11`; equal parts need no numbers."""
    equal = len({member.picks for member in ensemble.members}) == 1
    *others, last = [
        f"{member.trial}" if equal or member.picks == 1 else f"{member.trial} (×{member.picks})"
        for member in ensemble.members
    ]
    return f"trials {', '.join(others)} and {last}"
