"""Write what the records of the event log say into the runs and models of one study in MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.paths import StudyPaths
from harness.records import (
    ConfigurationRefused,
    EnsembleSaved,
    EpochEnded,
    LogRecord,
    ModelMeasured,
    ModelSaved,
    SegmentEnded,
    SegmentStarted,
    StudyEnded,
    StudyStarted,
    TestOpened,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.tracking.mlflow_batches import Batches
from harness.tracking.mlflow_ensembles import Ensembles
from harness.tracking.mlflow_model_runs import ModelRuns
from harness.tracking.mlflow_openings import Openings
from harness.tracking.mlflow_session import Session
from harness.tracking.mlflow_study_run import StudyRun
from harness.tracking.mlflow_trial_runs import TrialRuns

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Writer:
    """Writes one study's records, in order; metrics wait until `flush`."""

    def __init__(
        self, client: MlflowClient, session: Session, paths: StudyPaths, *, restore_deleted: bool
    ) -> None:
        """Write into what the session has found; `restore_deleted`: also what somebody has deleted there."""
        self.session = session
        batches = Batches(client, session)
        self.flush = batches.flush
        self._study = StudyRun(client, session, batches, restore_deleted=restore_deleted)
        self._runs = ModelRuns(client, session, batches, paths, restore_deleted)
        self._trials = TrialRuns(self._runs)
        self._openings = Openings(self._runs)
        self._ensembles = Ensembles(self._runs)

    def write(self, record: LogRecord) -> None:
        """Write what one record says, unless MLflow has it already."""
        session, seq, event = self.session, record.seq, record.event
        if isinstance(event, SegmentEnded):
            self._openings.opened_by_training(event)
        if isinstance(event, StudyStarted):
            self._study.start(seq, event)
        elif isinstance(event, StudyEnded):
            self._study.end(seq, event)
        elif isinstance(event, TrialEnded):
            if event.trial not in session.left_out and not session.has(seq, event.trial):
                self._trials.end(event)
            self._study.count(seq, event)
        elif isinstance(event, TestOpened):
            self._openings.opened(seq, event)
        elif isinstance(event, EnsembleSaved):
            self._ensembles.saved(seq, event)
        elif not isinstance(event, ConfigurationRefused) and event.trial not in session.left_out:
            self._write_of_trial(seq, event)

    def _write_of_trial(self, seq: int, event: TrialEvent | TrialStarted | SegmentStarted) -> None:
        """Write what happened to a trial before its end."""
        session = self.session
        if isinstance(event, TrialStarted):
            self._trials.start(seq, event)
        elif isinstance(event, EpochEnded):
            self._trials.epoch(seq, event)
        elif isinstance(event, ModelSaved):
            self._trials.model(seq, event)
        elif not session.has(seq, event.trial):
            if isinstance(event, SegmentStarted):
                self._trials.start_segment(event)
            elif isinstance(event, ModelMeasured):
                self._trials.measured(event)
            elif isinstance(event, SegmentEnded):
                self._runs.evaluate(event.trial, event.evaluations, event.time, event.epoch)
