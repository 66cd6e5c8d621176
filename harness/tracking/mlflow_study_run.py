"""The study's own run in MLflow: the parent of its trials, with the best score, its model and the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.experiment.load import restore
from harness.records import StudyEnded, StudyStarted, TrialEnded
from harness.tracking.mlflow_batches import Batches
from harness.tracking.mlflow_client import search_runs
from harness.tracking.mlflow_content import (
    RUN_NAME,
    dataset_input,
    flat,
    session_files,
    study_run_name,
    study_tags,
)
from harness.tracking.mlflow_models import model_of_trial
from harness.tracking.mlflow_runs import PARENT, STUDY_ID
from harness.tracking.mlflow_session import Session
from harness.tracking.mlflow_study_models import outputs_of

if TYPE_CHECKING:
    from mlflow import MlflowClient


class StudyRun:
    """Writes what the event log says of the study as a whole."""

    def __init__(
        self, client: MlflowClient, session: Session, batches: Batches, *, restore_deleted: bool
    ) -> None:
        self._client = client
        self._session = session
        self._batches = batches
        self._restore_deleted = restore_deleted

    def start(self, seq: int, event: StudyStarted) -> None:
        """A session has begun: there is a run, and it is running."""
        session = self._session
        if event is not session.study:  # `open_session` has compiled the first one
            session.study, session.experiment = event, restore(event.experiment)
        if session.has(seq, None):
            return
        if not session.parent:
            session.parent = self._client.create_run(
                session.experiment_id,
                start_time=event.time,
                run_name=study_run_name(event.study, None),
                tags=study_tags(event, session.experiment),
            ).info.run_id
            for run in session.runs.values():
                self._client.set_tag(run, PARENT, session.parent)
        if event.session == 1:
            # Parameters cannot change in MLflow: a later session's larger total stays out.
            self._batches.send(session.parent, params=flat(event.experiment))
            self._client.log_inputs(session.parent, [dataset_input(event.dataset)])
        else:
            self._client.update_run(session.parent, status="RUNNING")
        for name, text in session_files(event).items():
            self._client.log_text(session.parent, text, name)
        self._client.set_tag(session.parent, "harness.state", "running")

    def count(self, seq: int, event: TrialEnded) -> None:
        """A trial has ended: the best score after it, and the trial that has it."""
        session = self._session
        session.ended += 1
        before = session.best
        if event.state == "complete" and event.score is not None:
            known = [event.score] if before is None else [event.score, before]
            session.best = session.experiment.objective.best(known)
        if session.best is not None and session.best != before:
            session.best_trial = event.trial
        if session.best is None or session.has(seq, None):
            return
        self._batches.queue(session.parent, {"best_score": session.best}, event.time, session.ended)
        if session.best_trial == event.trial:
            tags = {"harness.best_trial": str(event.trial), "harness.best_score": str(event.score)}
            study = session.study.study
            name = self._client.get_run(session.parent).info.run_name
            if name in (study, study_run_name(study, before)):  # else somebody has renamed the run
                tags[RUN_NAME] = study_run_name(study, session.best)
            self._batches.send(session.parent, tags=tags)

    def end(self, seq: int, event: StudyEnded) -> None:
        """A session has ended: nothing is running any more."""
        session = self._session
        incomplete = {session.runs[trial] for trial in session.incomplete if trial in session.runs}
        whole = not session.has(seq, None)
        if whole or incomplete:
            self._batches.flush()
        if not event.complete and (whole or incomplete):
            self._interrupt(event, None if whole else incomplete)
        if whole or incomplete or self._restore_deleted:
            self._show_best_model()
        if whole:
            state = "complete" if event.complete else "interrupted"
            self._batches.send(session.parent, tags={"harness.state": state, "harness.reason": event.reason})
            status = "FINISHED" if event.complete else "KILLED"
            self._client.set_terminated(session.parent, status, event.time)

    def _interrupt(self, event: StudyEnded, only: set[str] | None) -> None:
        """Close the runs of trials that have not ended, or only some of them."""
        session = self._session
        running = f"tags.`{STUDY_ID}` = '{session.study.study_id}' AND attributes.status = 'RUNNING'"
        for run in search_runs(self._client, [session.experiment_id], running):
            own = run.info.run_id
            if own != session.parent and (only is None or own in only):
                self._batches.send(own, tags={"harness.state": "interrupted"})
                self._client.set_terminated(own, "KILLED", event.time)

    def _show_best_model(self) -> None:
        """Name the best trial's model as one of the study's own, unless it is, or somebody has deleted it."""
        from mlflow.entities import LoggedModelOutput

        session = self._session
        if session.best_trial is None:
            return
        model_id = model_of_trial(self._client, session, session.best_trial)
        if model_id is not None and model_id not in outputs_of(self._client.get_run(session.parent)):
            self._client.log_outputs(session.parent, [LoggedModelOutput(model_id, step=session.ended)])
