"""Trials of a study for notebooks and scripts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.library.models import exported, tested
from harness.library.progress import LOGGER
from harness.paths import StudyPaths
from harness.records import Evaluation, Params
from harness.study.state import StudyState
from harness.study.trial import Trial

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from harness.deploy.export import Bundle
    from harness.deploy.trained import TrainedModel
    from harness.reproducing.reproduce import Reproduction


@dataclass(frozen=True, slots=True, repr=False)
class TrialResult:
    """One trial of a study, as it was when the study was opened."""

    number: int
    """Counts from 0, in the order in which trials were started."""
    _paths: StudyPaths
    _study: StudyState = field(compare=False)

    @property
    def _trial(self) -> Trial:
        return self._study.trials[self.number]

    @property
    def state(self) -> str:
        """`complete`, `pruned` or `failed`; before its end `waiting`, `running` or `paused`."""
        return self._trial.state

    @property
    def params(self) -> Params:
        """Every parameter with its value, those that the space leaves at their defaults included."""
        return dict(self._trial.params)

    @property
    def score(self) -> float | None:
        """The first objective after the last epoch, with folds its mean; None without a finite one."""
        return self._trial.score

    @property
    def standard_error(self) -> float | None:
        """That of the score, where it is a mean over folds; else None."""
        return self._trial.standard_error

    @property
    def epochs(self) -> pd.DataFrame:
        """Metrics in columns, one row for each epoch, indexed by the epoch's number, which counts from 1.

        With folds it counts through all of them.
        """
        import pandas as pd

        found = sorted(self._trial.epochs.items())
        index = pd.Index([epoch for epoch, _ in found], name="epoch", dtype="int64")
        return pd.DataFrame([metrics for _, metrics in found], index=index)

    def load(self) -> keras.Model:
        """The trained model, from raw pixels (N×H×W×C, 0 to 255) to class probabilities (N×classes).

        The classes are in the order of `Study.classes`. TensorFlow is imported by this.

        Raises:
            HarnessError: the trial has no model, or its file is missing or damaged.
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
        temperature_scaling: bool = False,
    ) -> Bundle:
        """Write the model as a bundle that can be deployed, every part of it loaded again and verified.

        Args:
            folder: to be made; by default `exports/STUDY-trial-NUMBER` in the working directory.
            formats: such as `["saved_model", "onnx"]`; by default all whose libraries are installed. The
                Keras model is always there.
            replace: replace what is there.
            archive: write the bundle as a `.zip` file beside the folder, too.
            temperature_scaling: divide logits by the temperature that fits the validation images best, so
                that probabilities are as sure as they are right; the most probable class stays the same.

        Returns:
            The bundle: its `folder`, the `figures` of each format (size, agreement, accuracy, times), what
            was compared in `parity`, `left_out` with why there are not more formats, and `warnings` for
            whoever ships it.

        Raises:
            HarnessError: the trial has no model, the folder exists, a format is unknown or cannot be had, no
                temperature can be fitted, or an exported model does not predict what the trained one did.
                Nothing is left behind.
        """
        from harness.deploy.temperature import fitted_scaling
        from harness.deploy.trained import bundle_folder

        return exported(
            self._model(),
            folder,
            bundle_folder(self._paths, self._trial),
            formats=formats,
            replace=replace,
            archive=archive,
            temperature=fitted_scaling(self._paths, self._trial) if temperature_scaling else None,
        )

    def reproduce(
        self, *, tolerance: float = 1e-3, engine: str = "local", ray_address: str | None = None
    ) -> Reproduction:
        """Train the trial again from its record, and compare every epoch and the final model's weights.

        It is trained in a process and a folder of its own; the study stays as it is.

        Args:
            tolerance: how far metrics (those above 1 by this share) and weights may be apart and still count
                as within tolerance.
            engine: what runs the process; here and below, `engine` and `ray_address` are as of
                `harness.sweep`.
            ray_address: of the cluster.

        Returns:
            The comparison: its `verdict` is `identical` (to the last bit), `within tolerance` or `different`;
            `epochs`, `weights` and `changed` say what differs, `notes` what could not be compared.

        Raises:
            HarnessError: nothing is recorded of the trial, the data is not the recorded one, or the trial
                cannot be trained.
        """
        from harness.reproducing.reproduce import reproduce
        from harness.study.event_log import read
        from harness.sweeping.engines import engine_choice

        return reproduce(
            self._paths,
            read(self._paths.log),
            self._trial,
            tolerance=tolerance,
            engine=engine_choice(engine, ray_address),
            note=LOGGER.info,
        )

    def test(self) -> Evaluation:
        """Open the sealed test set for this trial: evaluate its model on the test images, as it is.

        It is `harness confirm --as-is`; `Study.confirm` trains anew, and tests what it has chosen.

        Every model of the study that is evaluated so counts as one opening (`Study.test_openings` after the
        study was opened again). Called once more, it returns what was found, and counts nothing. A worker
        process predicts; TensorFlow is not imported here.

        Returns:
            `metrics` by name, `per_class` rows with precision, recall, F1 and support, and the `confusion`
            matrix, whose rows are true classes.

        Raises:
            HarnessError: the trial is not complete, the study is running, its data set is gone or has no
                test images, or no worker has answered.
        """
        return tested(self._paths, self.number)

    def __repr__(self) -> str:
        score = "" if self.score is None else f", {self.score:.4f}"
        return f"<Trial {self.number} of {self._paths.folder.name}: {self.state}{score}>"

    def _model(self) -> TrainedModel:
        from harness.deploy.trained import trained_model

        return trained_model(self._paths, self._study, self._trial)
