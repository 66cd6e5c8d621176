"""From what a person names, a bundle, a study or a model in MLflow, to the model that is meant."""

from __future__ import annotations

from pathlib import Path

from harness.confirmation.champion import champion_of
from harness.data.decode import MAX_PIXELS
from harness.data.reference import read_reference
from harness.deploy.expected import as_files
from harness.deploy.trained import TrainedModel, trained_model
from harness.errors import ServingError
from harness.paths import StudyPaths, home, study_names, tracking_uri
from harness.serving.bundle import is_bundle, open_bundle
from harness.serving.source import ModelSource
from harness.study.choosing import choose_trial
from harness.study.opening import open_study
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.tracking.mlflow_registered import SCHEME, run_of_model
from harness.tracking.origin import trial_of_run


def model_at(named: str) -> ModelSource:
    """The model of a bundle, or the best one of a study: of its confirmation's champion, if it has one.

    Args:
        named: an address in MLflow such as `models:/pets@champion`, whose study is here; or the path of a
            bundle's folder or archive; or else a study's name.

    Raises:
        ServingError: there is neither, or the bundle is not as it was exported.
        StudyError: no trial of the study is complete, or MLflow has no such model.
        ExportError: MLflow has another model for the trial than the study.
        StoreError: the MLflow store cannot work as it is set up.
        UnreachableError: it is away.
    """
    if named.startswith(SCHEME):
        return _of_trial(*trial_of_run(run_of_model(tracking_uri(), named)))
    place, is_study = Path(named), named in study_names()
    if is_bundle(place) or (place.exists() and not is_study):
        return open_bundle(place).source
    if not is_study:
        raise ServingError(
            f"There is neither a bundle at {named} nor a study of this name in {home()}. Make a bundle with "
            "`harness export`."
        )
    return _of_study(named)


def _of_study(name: str) -> ModelSource:
    paths, state = open_study(name)
    champion, trial = champion_of(state), None
    if champion is not None:  # what was confirmed, instead of what was luckiest in the sweep
        state, trial = champion.confirmation, champion.trial
        paths = StudyPaths.of(state.name)
    return _of_trial(paths, state, choose_trial(state, trial))


def _of_trial(paths: StudyPaths, state: StudyState, chosen: Trial) -> ModelSource:
    return source_of(trained_model(paths, state, chosen), f"trial {chosen.number} of {paths.folder.name}")


def source_of(trained: TrainedModel, name: str) -> ModelSource:
    """A study's model, with what is known of how its files were read."""
    dataset = trained.dataset
    reference = read_reference(trained.reference) if trained.reference else None
    if reference is not None:
        dataset = as_files(dataset, reference)
    return ModelSource(
        name=name,
        file=trained.file,
        sha256=trained.sha256,
        classes=dataset.classes,
        image_shape=dataset.image_shape,
        pixel_range=dataset.pixel_range,
        max_pixels=trained.max_pixels or MAX_PIXELS,
        frames=dataset.frames,
    )
