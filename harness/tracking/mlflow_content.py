"""What MLflow is told of a study and its trials: names, tags, parameters, inputs and notes."""

from __future__ import annotations

import getpass
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.experiment.experiment import Experiment
from harness.records import Dataset, EnsembleSaved, Params, StudyStarted, TrialStarted
from harness.tracking.mlflow_runs import ENSEMBLE, PARENT, STUDY_ID, TRIAL

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput


RUN_NAME = "mlflow.runName"
"""The tag that holds a run's name."""
SOURCE = "harness"
"""What MLflow shows as the source of runs and models."""


def study_run_name(study: str, best: float | None) -> str:
    """The name of the study's own run, such as `digits-1 · 0.912`: the study and its best score so far."""
    return " · ".join([study, *_shown(best)])


def trial_run_name(number: int, params: Params, score: float | None) -> str:
    """The name of a trial's run, such as `0007 · cnn d4 adam · 0.912`.

    Args:
        number: of the trial.
        params: of the trial; those of family, depth and optimizer that they have are in the name.
        score: None before the trial has ended.
    """
    network = [
        f"{prefix}{params[key]}"
        for key, prefix in (("family", ""), ("depth", "d"), ("optimizer", ""))
        if key in params
    ]
    return " · ".join([f"{number:04d}", *([" ".join(network)] if network else []), *_shown(score)])


def ensemble_run_name(event: EnsembleSaved) -> str:
    """The name of an ensemble's run, such as `ensemble 0 · 3 trials · 0.912`."""
    return " · ".join([f"ensemble {event.number}", f"{len(event.members)} trials", *_shown(event.score)])


def _shown(score: float | None) -> list[str]:
    """A score with three digits, as part of a name."""
    if score is None:
        return []
    return [f"{score:.3f}" if score == 0 or 0.001 <= abs(score) < 1000 else f"{score:.3g}"]


def origin_tags() -> dict[str, str]:
    """Where a run or a model comes from, as MLflow's columns show it: source and user."""
    tags = {"mlflow.source.name": SOURCE, "mlflow.source.type": "LOCAL"}
    with suppress(OSError, KeyError, ImportError):  # a container may run under a number without a name
        tags["mlflow.user"] = getpass.getuser()
    return tags


def study_tags(event: StudyStarted, experiment: Experiment) -> dict[str, str]:
    """Tags of the study's own run."""
    tags = {
        **origin_tags(),
        STUDY_ID: event.study_id,
        "harness.study": event.study,
        "harness.seed": str(event.seed),
        "harness.dataset": event.dataset.name,
        "harness.dataset_digest": event.dataset.digest,
        "harness.host": str(event.host.get("name", "")),
        "mlflow.note.content": _note(event, experiment),
        **{f"harness.version.{name}": version for name, version in event.versions.items()},
    }
    tags |= {f"harness.split_digest.{part}": sha256 for part, sha256 in event.dataset.split_digests.items()}
    if (machine := event.environment) is not None:
        tags |= {
            "harness.processor": machine.processor,
            "harness.gpus": ", ".join(machine.gpus) or "none",
            "harness.workers": str(machine.workers),
            "harness.threads": str(machine.threads),
        }
    if experiment.confirmation is not None:
        tags["harness.confirms"] = experiment.confirmation.study
    if event.git_commit:
        tags["mlflow.source.git.commit"] = event.git_commit
    return tags


def session_files(event: StudyStarted) -> dict[str, str]:
    """What a session was run with, as texts by the names of their artifacts; none of an older version's."""
    if event.environment is None:
        return {}
    told = {
        "environment": asdict(event.environment),
        "host": event.host,
        "versions": event.versions,
        "git_commit": event.git_commit,
        "seed": event.seed,
        "precision": event.experiment.get("training", {}).get("precision"),
        "dataset_digest": event.dataset.digest,
        "split_digests": event.dataset.split_digests,
        "weights": event.weights,
    }
    folder = f"sessions/{event.session}"
    files = {
        f"{folder}/environment.json": json.dumps(told, indent=1),
        f"{folder}/experiment.json": json.dumps(event.experiment, indent=1),
    }
    if event.uncommitted:
        files[f"{folder}/uncommitted.diff"] = event.uncommitted
    return files


def trial_tags(study: StudyStarted, event: TrialStarted, parent: str) -> dict[str, str]:
    """Tags of a trial's run, which hangs under the run `parent`."""
    return _child_tags(study, parent) | {
        TRIAL: str(event.trial),
        "harness.seed": str(event.seed),
        "harness.generation": str(event.generation),
        "harness.state": "running",
    }


def ensemble_tags(study: StudyStarted, event: EnsembleSaved, parent: str) -> dict[str, str]:
    """Tags of an ensemble's run, which hangs under the run `parent`."""
    return _child_tags(study, parent) | {ENSEMBLE: str(event.number), "harness.state": "complete"}


def _child_tags(study: StudyStarted, parent: str) -> dict[str, str]:
    tags = {
        **origin_tags(),
        PARENT: parent,
        STUDY_ID: study.study_id,
        "harness.study": study.study,
        "harness.dataset_digest": study.dataset.digest,
    }
    if study.git_commit:
        tags["mlflow.source.git.commit"] = study.git_commit
    return tags


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested keys joined by dots; lists and the space's entries as JSON."""
    found: dict[str, str] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and not prefix:
            found |= flat(value, f"{path}.")
        else:
            found[path] = value if isinstance(value, str) else json.dumps(value)
    return found


def dataset_input(dataset: Dataset) -> DatasetInput:
    """The data set as an input of a run."""
    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput, InputTag

    profile = {"images": dataset.counts, "training_images_by_class": dataset.class_counts}
    schema = {
        "mlflow_tensorspec": {
            "features": json.dumps(
                [
                    {
                        "type": "tensor",
                        "tensor-spec": {"dtype": "uint8", "shape": [-1, *dataset.example_shape]},
                    }
                ]
            ),
            "targets": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "int32", "shape": [-1]}}]),
        }
    }
    return DatasetInput(
        MlflowDataset(
            name=dataset.name,
            digest=dataset.digest[:36],
            source_type="local",
            source=json.dumps({"uri": dataset.name}),
            schema=json.dumps(schema),
            profile=json.dumps(profile)[:60_000],
        ),
        [InputTag("mlflow.data.context", "training")],
    )


def _note(event: StudyStarted, experiment: Experiment) -> str:
    data = event.dataset
    counts = ", ".join(f"{count:,} {part}" for part, count in data.counts.items())
    if data.folds:
        counts += f" (train dealt out to {data.folds} folds, {data.repeats} times)"
    return (
        f"**{event.study}** {experiment.config.description}\n\n"
        f"- data: `{data.name}`, {counts} {data.described()}, "
        f"{len(data.classes)} classes\n"
        f"- objective: `{experiment.objective.name}`, {experiment.objective.direction}\n"
        f"- see `harness leaderboard {event.study}` and `harness export {event.study}`\n"
    )
