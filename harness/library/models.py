"""What can be done with the model of a trial and with that of an ensemble."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.library.progress import LOGGER
from harness.library.trackers import warn_of_trackers
from harness.paths import StudyPaths
from harness.records import Evaluation

if TYPE_CHECKING:
    from harness.deploy.export import Bundle
    from harness.deploy.temperature import TemperatureScaling
    from harness.deploy.trained import TrainedModel


def exported(
    model: TrainedModel,
    folder: str | os.PathLike[str] | None,
    usual: Path,
    *,
    formats: Sequence[str] | None,
    replace: bool,
    archive: bool,
    temperature: TemperatureScaling | None = None,
) -> Bundle:
    """Write the model as a bundle into `folder`, or into its usual place: see `TrialResult.export`.

    Raises:
        HarnessError: as there.
    """
    from harness.deploy.export import export_model

    return export_model(
        model,
        usual if folder is None else Path(folder),
        formats=formats,
        replace=replace,
        archive=archive,
        temperature=temperature,
    )


def tested(paths: StudyPaths, trial: int | None = None) -> Evaluation:
    """Open the sealed test set for the model of a trial, or for that of the study's latest ensemble.

    Args:
        paths: of the study.
        trial: the trial's number; None for the ensemble.

    Raises:
        HarnessError: as of `TrialResult.test`.
    """
    from harness.confirmation.opening import open_test_set

    opened = open_test_set(paths, trial, ensemble=trial is None, note=LOGGER.info)
    warn_of_trackers(opened.behind, paths)
    return opened.evaluation
