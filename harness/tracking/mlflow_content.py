"""What MLflow is told of a study and its trials: tags, parameters, inputs, notes and tables."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from harness.records import Dataset, Evaluation, StudyStarted, TrialStarted
from harness.tracking.mlflow_runs import PARENT, STUDY_ID, TRIAL

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput


def study_tags(event: StudyStarted) -> dict[str, str]:
    """Tags of the study's own run."""
    tags = {
        STUDY_ID: event.study_id,
        "harness.study": event.study,
        "harness.seed": str(event.seed),
        "harness.dataset": event.dataset.name,
        "harness.dataset_digest": event.dataset.digest,
        "harness.host": str(event.host.get("name", "")),
        "mlflow.note.content": _note(event),
        **{f"harness.version.{name}": version for name, version in event.versions.items()},
    }
    if event.git_commit:
        tags["mlflow.source.git.commit"] = event.git_commit
    return tags


def trial_tags(study: StudyStarted, event: TrialStarted, parent: str) -> dict[str, str]:
    """Tags of a trial's run, which hangs under the run `parent`."""
    tags = {
        PARENT: parent,
        STUDY_ID: study.study_id,
        TRIAL: str(event.trial),
        "harness.study": study.study,
        "harness.seed": str(event.seed),
        "harness.generation": str(event.generation),
        "harness.state": "running",
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

    height, width, channels = dataset.image_shape
    profile = {"images": dataset.counts, "training_images_by_class": dataset.class_counts}
    schema = {
        "mlflow_tensorspec": {
            "features": json.dumps(
                [
                    {
                        "type": "tensor",
                        "tensor-spec": {"dtype": "uint8", "shape": [-1, height, width, channels]},
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


def _note(event: StudyStarted) -> str:
    data = event.dataset
    height, width, channels = data.image_shape
    counts = ", ".join(f"{count:,} {part}" for part, count in data.counts.items())
    description = event.experiment.get("description") or ""
    return (
        f"**{event.study}** {description}\n\n"
        f"- data: `{data.name}`, {counts} images of {height}×{width}×{channels}, "
        f"{len(data.classes)} classes\n"
        f"- objective: `{event.experiment['objective']['metric']}`, "
        f"{event.experiment['objective']['direction']}\n"
        f"- see `harness leaderboard {event.study}` and `harness export --study {event.study}`\n"
    )


def per_class_csv(evaluation: Evaluation) -> str:
    """Precision, recall, F1 and support of each class."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["class", "precision", "recall", "f1", "support"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(evaluation.per_class)
    return text.getvalue()


def confusion_csv(evaluation: Evaluation) -> str:
    """Rows are true classes, columns predicted ones."""
    names = [row["class"] for row in evaluation.per_class]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true \\ predicted", *names])
    writer.writerows([name, *row] for name, row in zip(names, evaluation.confusion, strict=True))
    return text.getvalue()
