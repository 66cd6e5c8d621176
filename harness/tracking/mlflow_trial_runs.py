"""The runs of a study's trials in MLflow: parameters, metrics, tables, model, predictions, how each ended."""

from __future__ import annotations

from harness.records import (
    EpochEnded,
    ModelMeasured,
    ModelSaved,
    SegmentStarted,
    TrialEnded,
    TrialStarted,
)
from harness.tracking.mlflow_content import RUN_NAME, dataset_input, trial_run_name, trial_tags
from harness.tracking.mlflow_model_runs import ModelRuns
from harness.tracking.mlflow_models import log_model


class TrialRuns:
    """Writes what the event log says of trials whose runs nobody has deleted."""

    def __init__(self, runs: ModelRuns) -> None:
        self._runs = runs
        self._client = runs.client
        self._session = runs.session
        self._batches = runs.batches

    def start(self, seq: int, event: TrialStarted) -> None:
        """A configuration was chosen: it has a run."""
        session = self._session
        number = event.trial
        session.params[number] = event.params
        if session.has(seq, number):
            if number in session.runs:
                return
            if not self._runs.restore_deleted:  # it was made once, and is not even in the bin any more
                session.left_out.add(number)
                return
            session.incomplete.add(number)
        tags = trial_tags(session.study, event, session.parent)
        self._runs.create_run(number, trial_run_name(number, event.params, None), tags, event.time)
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
            if not self._runs.restore_deleted or self._runs.model_of(event.trial) is not None:
                return
            session.incomplete.add(event.trial)  # its metrics are linked to the model that is logged anew
        log_model(self._client, session, self._runs.paths.folder, event)
        self._runs.log_predictions(event.trial, event.predictions)

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
            model_id = self._runs.model_of(event.trial) if event.state == "complete" else None
            scores = {"score": event.score}
            if event.standard_error is not None:
                scores["score_standard_error"] = event.standard_error
            self._batches.queue(run, scores, event.time, event.epoch, model_id)
            if self._client.get_run(run).info.run_name == trial_run_name(event.trial, params, None):
                tags[RUN_NAME] = trial_run_name(event.trial, params, event.score)
        self._batches.send(run, tags=tags)
        self._client.set_terminated(run, "FAILED" if event.state == "failed" else "FINISHED", event.time)
