"""A model that may be registered: its file, and what is told of it in the registry."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.confirmation.planning import study_of
from harness.deploy.metadata import figures_of
from harness.deploy.trained import check_file, trained_model
from harness.errors import PromotionError
from harness.paths import StudyPaths
from harness.serving.bundle import OpenBundle
from harness.serving.opening import opened, source_of
from harness.serving.source import ModelSource
from harness.study.event_log import find_study
from harness.study.opening import open_study
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.tracking.mlflow_runs import ENSEMBLE, STUDY_ID, TRIAL
from harness.tracking.registered import (
    DATASET,
    OPENINGS,
    SHA256,
    SPLIT_DIGEST,
    TEMPERATURE,
    WHY,
    KerasModel,
    Version,
)

PARTS = ("validation", "test")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model, whatever it was named by."""

    source: ModelSource
    tags: Mapping[str, str]
    """What the registry is told of it."""
    version: Version | None = None
    """Where it is registered already, if it was named by that."""

    @property
    def split_digests(self) -> dict[str, str]:
        """Of the parts of the data that it was trained and judged by; empty where they are not known."""
        return {
            key.removeprefix(SPLIT_DIGEST): value
            for key, value in self.tags.items()
            if key.startswith(SPLIT_DIGEST)
        }

    @property
    def usual_name(self) -> str:
        """The registered model that it goes to unless somebody says otherwise: called as the data set is.

        Raises:
            PromotionError: its data set is not known.
        """
        if self.version is not None:
            return self.version.name
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.tags.get(DATASET, "")).strip("-.")
        if not name:
            raise PromotionError(
                f"{self.source.name} does not say what its data set is called, by which models are named in "
                "the registry. Name one with --name."
            )
        return name

    @property
    def keras_model(self) -> KerasModel:
        """As the registry takes it."""
        source = self.source
        return KerasModel(
            source.file,
            source.sha256,
            source.classes,
            source.example_shape,
            {
                "pixel_range": list(source.pixel_range) if source.pixel_range else None,
                "max_pixels": source.max_pixels,
            },
        )


def candidate_at(named: str | None) -> Candidate:
    """The model that is meant.

    Args:
        named: a bundle's folder or archive; a study; a run in MLflow, or an address there. None: the study
            last active.

    Raises:
        HarnessError: there is none, it is not as it was exported or registered, or MLflow is away.
    """
    found = opened(named)
    source = source_of(found)
    match found:
        case OpenBundle():
            return Candidate(source, _of_bundle(found))
        case Version():
            return Candidate(source, {key: told for key, told in found.tags.items() if key != WHY}, found)
        case paths, state, trial:
            return Candidate(source, _of_trial(paths, state, trial))


def _of_bundle(bundle: OpenBundle) -> dict[str, str]:
    tags = _tags(bundle.metadata, bundle.source.sha256)
    study_id = tags.get(STUDY_ID)
    name = find_study(study_id) if study_id else None
    # What has been opened since it was exported counts, too.
    return tags if name is None else tags | _openings(open_study(name)[1])


def _of_trial(paths: StudyPaths, state: StudyState, trial: Trial) -> dict[str, str]:
    trained = trained_model(paths, state, trial)
    check_file(trained)
    dataset = trained.dataset
    described = {
        "dataset": {
            "name": dataset.name,
            "digest": dataset.digest,
            "split_digests": dataset.split_digests,
        },
        "metrics": {one.split: figures_of(one) for one in trained.evaluations},
        "provenance": trained.provenance,
    }
    return _tags(described, trained.sha256) | _openings(state)


def _openings(state: StudyState) -> dict[str, str]:
    """How many models were evaluated on the test images: of a study, and of the one that it confirms."""
    confirmed = study_of(state) if state.experiment.confirmation is not None else None
    earlier = len(confirmed.test_openings) if confirmed is not None else 0
    return {OPENINGS: str(len(state.test_openings) + earlier)}


def _tags(described: Mapping[str, Any], sha256: str) -> dict[str, str]:
    """What is told of a model in the registry.

    Args:
        described: `dataset`, `metrics` and `provenance`, as `metadata.yaml` of a bundle has them.
        sha256: of the model's file.
    """
    origin, dataset, metrics = (_part(described, key) for key in ("provenance", "dataset", "metrics"))
    told: dict[str, Any] = {
        "harness.study": origin.get("study"),
        STUDY_ID: origin.get("study_id"),
        TRIAL: origin.get("trial"),
        ENSEMBLE: origin.get("ensemble"),
        "harness.git_commit": origin.get("git_commit"),
        "harness.trained": origin.get("trained"),
        "harness.version": _part(origin, "versions").get("harness"),
        DATASET: dataset.get("name"),
        "harness.dataset_digest": dataset.get("digest"),
        TEMPERATURE: _part(origin, "temperature_scaling").get("temperature"),
        OPENINGS: origin.get("test_openings"),
        SHA256: sha256,
    }
    told |= {f"{SPLIT_DIGEST}{part}": value for part, value in _part(dataset, "split_digests").items()}
    for part in PARTS:
        figures = _part(metrics, part)
        told |= {
            f"harness.{part}.{name}": value
            for name, value in figures.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        }
        interval = figures.get("accuracy_interval_95")
        if isinstance(interval, list) and len(interval) == 2:
            told[f"harness.{part}.accuracy_interval_95"] = " to ".join(f"{end:.4f}" for end in interval)
    return {key: str(value) for key, value in told.items() if value not in (None, "")}


def _part(described: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What stands under a key, if it is something with keys of its own."""
    found = described.get(key)
    return found if isinstance(found, dict) else {}
