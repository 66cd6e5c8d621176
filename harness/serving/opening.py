"""From what a person names, a bundle, a study or a model in MLflow, to the model that is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from harness.data.decode import MAX_PIXELS
from harness.data.reference import read_reference
from harness.deploy.expected import as_files
from harness.deploy.trained import TrainedModel, trained_model
from harness.errors import ServingError
from harness.paths import StudyPaths, home, study_names, tracking_uri
from harness.serving.bundle import OpenBundle, is_bundle, open_bundle
from harness.serving.named_trial import named_trial, names_trial
from harness.serving.source import ModelSource
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.tracking.mlflow_registered import SCHEME, version_at
from harness.tracking.mlflow_registry import Registry
from harness.tracking.registered import SHA256, KerasModel, Version

NamedTrial: TypeAlias = tuple[StudyPaths, StudyState, Trial]


def opened(named: str | None) -> OpenBundle | Version | NamedTrial:
    """What is meant: a bundle, checked; a version that `harness promote` has registered; or else a trial.

    Args:
        named: an address in MLflow such as `models:/pets@champion`; or the path of a bundle's folder or
            archive; or a study's name, which means its best trial, or its confirmation's champion; or the id
            of a run in MLflow. The studies of runs, and of models that were registered otherwise, must be
            here. None: the study last active.

    Raises:
        ServingError: there is none of them, or the bundle is not as it was exported.
        StudyError: no trial of the study is complete, or MLflow has no such model.
        ExportError: MLflow has another model for the trial than the study.
        StoreError: the MLflow store cannot work as it is set up.
        UnreachableError: it is away.
    """
    if named is not None and named.startswith(SCHEME):
        version = version_at(tracking_uri(), named)
        if version is not None and SHA256 in version.tags:
            return version
    elif named is not None:
        # A folder that has the name of a study and is no bundle means the study.
        place = Path(named)
        if is_bundle(place) or (place.exists() and named not in study_names()):
            return open_bundle(place)
        if not names_trial(named):
            raise ServingError(
                f"There is neither a bundle at {named} nor a study of this name in {home()}. Make a bundle "
                "with `harness export`."
            )
    return named_trial(named)


def model_at(named: str) -> ModelSource:
    """The model that is meant, as `opened` finds it; raises what that raises."""
    return source_of(opened(named))


def source_of(found: OpenBundle | Version | NamedTrial) -> ModelSource:
    """A model with what is known of how image files are read for it.

    Raises:
        ServingError: a registered version is not as it was registered, or does not say what it takes.
        ExportError: the trial has no model.
        UnreachableError: the registry is away.
    """
    match found:
        case OpenBundle():
            return found.source
        case Version():
            return _of_version(found, Registry(tracking_uri()).fetch(found))
        case paths, state, trial:
            return _of_trained(
                trained_model(paths, state, trial), f"trial {trial.number} of {paths.folder.name}"
            )


def described_input(found: OpenBundle | Version | NamedTrial, source: ModelSource) -> dict[str, Any]:
    """What a model takes, for programs: as a bundle's metadata have it under `input`.

    Args:
        found: what was meant.
        source: its model.
    """
    if isinstance(found, OpenBundle):
        described = found.metadata.get("input")
        return described if isinstance(described, dict) else {}
    height, width, channels = source.image_shape
    return {
        "height": height,
        "width": width,
        "channels": channels,
        "color": "grey" if channels == 1 else "rgb",
        "range": [0, 255],
        "note": "raw pixels; scaling is inside the model",
        "pixel_range": list(source.pixel_range) if source.pixel_range else None,
        "max_pixels": source.max_pixels,
        **({"frames": source.frames} if source.frames else {}),
    }


def _of_trained(trained: TrainedModel, name: str) -> ModelSource:
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


def _of_version(version: Version, model: KerasModel) -> ModelSource:
    spread, most = model.of_files.get("pixel_range"), model.of_files.get("max_pixels")
    try:
        *clip, height, width, channels = model.example_shape
        (frames,) = clip or (0,)
        low_high = (float(spread[0]), float(spread[1])) if spread is not None else None
    except (TypeError, ValueError, IndexError) as error:
        raise ServingError(f"{version.address} does not say which images it takes.") from error
    return ModelSource(
        name=f"{version.name} version {version.number}",
        file=model.file,
        sha256=model.sha256,
        classes=model.classes,
        image_shape=(height, width, channels),
        frames=frames,
        pixel_range=low_high,
        max_pixels=most if type(most) is int and most > 0 else MAX_PIXELS,
    )
