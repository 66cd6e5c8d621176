"""What the runs of a study's trials and of its ensembles in MLflow have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.paths import StudyPaths
from harness.records import Evaluation
from harness.tracking.mlflow_batches import Batches
from harness.tracking.mlflow_models import existing_model
from harness.tracking.mlflow_session import Session
from harness.tracking.mlflow_tables import confusion_csv, per_class_csv

if TYPE_CHECKING:
    from mlflow import MlflowClient

MOST_BYTES = 2**20
"""Stored predictions that are copied to MLflow, too."""


@dataclass(frozen=True, slots=True)
class ModelRuns:
    """Writes into the runs of what has a model: trials and ensembles, with keys as in `Session.runs`."""

    client: MlflowClient
    session: Session
    batches: Batches
    paths: StudyPaths
    restore_deleted: bool
    """Whether what somebody has deleted in MLflow is written again."""

    def create_run(self, key: int, name: str, tags: dict[str, str], time: int) -> None:
        """Make the run, unless there is one; it started at `time`, in milliseconds since 1970."""
        runs = self.session.runs
        if key not in runs:
            runs[key] = self.client.create_run(
                self.session.experiment_id, start_time=time, run_name=name, tags=tags
            ).info.run_id

    def log_predictions(self, key: int, file: str) -> None:
        """Copy stored predictions, if they are small; `file` is relative to the study, and may be empty."""
        predictions = self.paths.folder / file
        if file and predictions.is_file() and predictions.stat().st_size <= MOST_BYTES:
            self.client.log_artifact(self.session.runs[key], str(predictions), "evaluation")

    def evaluate(self, key: int, evaluations: Sequence[Evaluation], time: int, epoch: int) -> None:
        """How the finished model classifies each split: metrics, which are the model's, and tables.

        Args:
            key: whose model it is: a trial's number, or an ensemble's key.
            evaluations: one for each split.
            time: milliseconds since 1970.
            epoch: after which the model was saved.
        """
        run = self.session.runs[key]
        for evaluation in evaluations:
            folder = f"evaluation/{evaluation.split}"
            if evaluation.fold is None:
                prefix = "test" if evaluation.split == "test" else "final_val"
                named = {f"{prefix}_{name}": value for name, value in evaluation.metrics.items()}
                self.batches.queue(run, named, time, epoch, self.model_of(key))
            else:  # its metrics are those of the fold's last epoch
                folder += f"_fold_{evaluation.fold}"
            self.client.log_text(run, per_class_csv(evaluation), f"{folder}_per_class.csv")
            self.client.log_text(run, confusion_csv(evaluation), f"{folder}_confusion.csv")

    def model_of(self, key: int) -> str | None:
        """The id of a trial's or an ensemble's model, if nobody has deleted it."""
        session = self.session
        if key not in session.models and session.known:
            found = existing_model(self.client, session, key)
            if found is not None:
                session.models[key] = found
        return session.models.get(key)
