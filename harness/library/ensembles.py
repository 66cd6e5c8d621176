"""Ensembles of a study's trials for notebooks and scripts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import StudyError
from harness.library.models import exported, tested
from harness.paths import StudyPaths
from harness.records import EnsembleSaved, Evaluation, Gain
from harness.study.opening import open_study
from harness.study.state import StudyState

if TYPE_CHECKING:
    import keras

    from harness.deploy.export import Bundle
    from harness.deploy.trained import TrainedModel


@dataclass(frozen=True, slots=True, repr=False)
class EnsembleResult:
    """The models of several trials averaged in one."""

    number: int
    """Counts from 0."""
    _paths: StudyPaths
    _study: StudyState = field(compare=False)

    @property
    def _ensemble(self) -> EnsembleSaved:
        return self._study.ensembles[self.number]

    @property
    def members(self) -> dict[int, float]:
        """The weight of each trial, by its number; they add up to 1."""
        picks = sum(member.picks for member in self._ensemble.members)
        return {member.trial: member.picks / picks for member in self._ensemble.members}

    @property
    def score(self) -> float:
        """The first objective, on the validation images by which the members were chosen."""
        return self._ensemble.score

    @property
    def gain(self) -> Gain:
        """What it is worth beside the best trial alone, also on images that had no say."""
        return self._ensemble.gain

    def load(self) -> keras.Model:
        """The averaged model, from raw pixels (N×H×W×C, 0 to 255) to class probabilities (N×classes).

        Raises:
            HarnessError: its file is missing or damaged.
        """
        from harness.deploy.loading import load_trained

        return load_trained(self._model())

    def export(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        formats: Sequence[str] | None = None,
        replace: bool = False,
        archive: bool = False,
    ) -> Bundle:
        """Write the model as a bundle that can be deployed: see `TrialResult.export`.

        Args:
            folder: to be made; by default `exports/STUDY-ensemble-NUMBER` in the working directory.
            formats: by default all whose libraries are installed.
            replace: replace what is there.
            archive: write the bundle as a `.zip` file beside the folder, too.
        """
        from harness.deploy.trained import ensemble_bundle_folder

        usual = ensemble_bundle_folder(self._paths, self._ensemble)
        return exported(self._model(), folder, usual, formats=formats, replace=replace, archive=archive)

    def test(self) -> Evaluation:
        """Open the sealed test set for this ensemble, once: see `TrialResult.test`.

        Raises:
            HarnessError: as there; or another ensemble was made since, which is the study's now.
        """
        if open_study(self._paths.folder.name)[1].ensembles[-1].number != self.number:
            raise StudyError(
                f"Ensemble {self.number} of {self._paths.folder.name} is not the latest one any more. Open "
                "the study again."
            )
        return tested(self._paths)

    def __repr__(self) -> str:
        trials = ", ".join(map(str, self.members))
        return f"<Ensemble {self.number} of {self._paths.folder.name}: trials {trials}, {self.score:.4f}>"

    def _model(self) -> TrainedModel:
        from harness.deploy.trained import averaged_model

        return averaged_model(self._paths, self._study, self._ensemble)
