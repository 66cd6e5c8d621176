"""The runs of a study's trials in MLflow: parameters, metrics, tables, model, predictions, how each ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.paths import StudyPaths
from harness.records import (
    EpochEnded,
    Evaluation,
    ModelMeasured,
    ModelSaved,
    SegmentStarted,
    TrialEnded,
    TrialStarted,
)
from harness.tracking.mlflow_batches import Batches
from harness.tracking.mlflow_content import RUN_NAME, dataset_input, trial_run_name, trial_tags
from harness.tracking.mlflow_models import existing_model, log_model
from harness.tracking.mlflow_session import Session
from harness.tracking.mlflow_tables import confusion_csv, per_class_csv

if TYPE_CHECKING:
    from mlflow import MlflowClient

MOST_BYTES = 2**20
"""Stored predictions that are copied to MLflow, too."""


class TrialRuns:
    """Writes what the event log says of trials whose runs nobody has deleted."""

    def __init__(
        self,
        client: MlflowClient,
        session: Session,
        batches: Batches,
        paths: StudyPaths,
        *,
        restore_deleted: bool,
    ) -> None:
        self._client = client
        self._session = session
        self._batches = batches
        self._paths = paths
        self._restore_deleted = restore_deleted

    def start(self, seq: int, event: TrialStarted) -> None:
        """A configuration was chosen: it has a run."""
        session = self._session
        number = event.trial
        session.params[number] = event.params
        if session.has(seq, number):
            if number in session.runs:
                return
            if not self._restore_deleted:  # it was made once, and is not even in the bin any more
                session.left_out.add(number)
                return
            session.incomplete.add(number)
        if number not in session.runs:
            session.runs[number] = self._client.create_run(
                session.experiment_id,
                start_time=event.time,
                run_name=trial_run_name(number, event.params, None),
                tags=trial_tags(session.study, event, session.parent),
            ).info.run_id
        run = session.runs[number]
        self._batches.send(run, params={name: str(value) for name, value in event.params.items()})
        self._client.log_inputs(run, [dataset_input(session.study.dataset)])

    def start_segment(self, event: SegmentStarted) -> None:
        """A run that an interruption had closed is running again."""
        if event.attempt == 1:
            return
        run = self._session.runs[event.trial]
        self._client.update_run(run, status="RUNNING")
        if event.microbatches > 1:
            self._client.set_tag(run, "harness.microbatches", str(event.microbatches))

    def measured(self, event: ModelMeasured) -> None:
        """What is known of the network before it is trained."""
        self._batches.queue(self._session.runs[event.trial], event.measured, event.time, 0)

    def epoch(self, seq: int, event: EpochEnded) -> None:
        """The metrics of an epoch; of a repeated one the first values count."""
        session = self._session
        if (event.trial, event.epoch) in session.seen:
            return
        session.seen.add((event.trial, event.epoch))
        if not session.has(seq, event.trial):
            self._batches.queue(session.runs[event.trial], event.metrics, event.time, event.epoch)

    def model(self, seq: int, event: ModelSaved) -> None:
        """A model was saved: MLflow has a copy of it, unless somebody has deleted that."""
        session = self._session
        if event.trial in session.no_model:
            return
        if session.has(seq, event.trial):
            if not self._restore_deleted or self.model_of(event.trial) is not None:
                return
            session.incomplete.add(event.trial)  # its metrics are linked to the model that is logged anew
        log_model(self._client, session, self._paths.folder, event)
        predictions = self._paths.folder / event.predictions
        if event.predictions and predictions.is_file() and predictions.stat().st_size <= MOST_BYTES:
            self._client.log_artifact(session.runs[event.trial], str(predictions), "evaluation")

    def evaluate(self, trial: int, evaluations: Sequence[Evaluation], time: int, epoch: int) -> None:
        """How the finished model classifies each split: metrics, which are the model's, and tables.

        Args:
            trial: whose model it is: a trial's, or by its key an ensemble's.
            evaluations: one for each split.
            time: milliseconds since 1970.
            epoch: after which the model was saved.
        """
        run = self._session.runs[trial]
        for evaluation in evaluations:
            folder = f"evaluation/{evaluation.split}"
            if evaluation.fold is None:
                prefix = "test" if evaluation.split == "test" else "final_val"
                named = {f"{prefix}_{name}": value for name, value in evaluation.metrics.items()}
                self._batches.queue(run, named, time, epoch, self.model_of(trial))
            else:  # its metrics are those of the fold's last epoch
                folder += f"_fold_{evaluation.fold}"
            self._client.log_text(run, per_class_csv(evaluation), f"{folder}_per_class.csv")
            self._client.log_text(run, confusion_csv(evaluation), f"{folder}_confusion.csv")

    def end(self, event: TrialEnded) -> None:
        """A trial has ended: its score, which is the model's, its state and the reason."""
        session = self._session
        run, params = session.runs[event.trial], session.params[event.trial]
        tags = {"harness.state": event.state, "harness.reason": event.reason}
        if event.failure:
            tags["harness.failure"] = event.failure
        if event.traceback:
            self._client.log_text(run, event.traceback, "failure/traceback.txt")
        if event.score is not None:
            model_id = self.model_of(event.trial) if event.state == "complete" else None
            scores = {"score": event.score}
            if event.standard_error is not None:
                scores["score_standard_error"] = event.standard_error
            self._batches.queue(run, scores, event.time, event.epoch, model_id)
            if self._client.get_run(run).info.run_name == trial_run_name(event.trial, params, None):
                tags[RUN_NAME] = trial_run_name(event.trial, params, event.score)
        self._batches.send(run, tags=tags)
        self._client.set_terminated(run, "FAILED" if event.state == "failed" else "FINISHED", event.time)

    def model_of(self, trial: int) -> str | None:
        """The id of a trial's model, or by its key of an ensemble's, if nobody has deleted it."""
        session = self._session
        if trial not in session.models and session.known:
            found = existing_model(self._client, session, trial)
            if found is not None:
                session.models[trial] = found
        return session.models.get(trial)
