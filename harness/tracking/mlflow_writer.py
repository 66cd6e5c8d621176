"""Write what the records of the event log say into the runs and models of one study in MLflow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.paths import StudyPaths
from harness.records import (
    EpochEnded,
    LogRecord,
    ModelMeasured,
    ModelSaved,
    SegmentEnded,
    SegmentStarted,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialStarted,
)
from harness.tracking.mlflow_client import search_runs
from harness.tracking.mlflow_content import (
    confusion_csv,
    dataset_input,
    flat,
    per_class_csv,
    study_tags,
    trial_tags,
)
from harness.tracking.mlflow_models import existing_model, log_model
from harness.tracking.mlflow_runs import PARENT, STUDY_ID
from harness.tracking.mlflow_session import Session

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

MAX_METRICS = 900


class Writer:
    """Writes one study's records, in order; metrics wait until `flush`."""

    def __init__(self, client: MlflowClient, session: Session, paths: StudyPaths, *, restore: bool) -> None:
        self._client = client
        self._session = session
        self._paths = paths
        self._restore = restore
        """Make again what somebody has deleted, rather than leave it out."""

    def write(self, record: LogRecord) -> None:
        """Write what one record says, unless MLflow has it already."""
        seq, event = record.seq, record.event
        if isinstance(event, StudyStarted):
            self._start_study(seq, event)
        elif isinstance(event, StudyEnded):
            self._end_study(seq, event)
        elif isinstance(event, TrialEnded):
            self._end_trial(seq, event)
        elif event.trial in self._session.left_out:
            return
        elif isinstance(event, TrialStarted):
            self._start_trial(seq, event)
        elif isinstance(event, EpochEnded):
            self._epoch(seq, event)
        elif isinstance(event, ModelSaved):
            self._model(seq, event)
        elif not self._session.has(seq, event.trial):
            if isinstance(event, SegmentStarted):
                self._start_segment(event)
            elif isinstance(event, ModelMeasured):
                self._queue(self._session.runs[event.trial], event.measured, event.time, 0)
            elif isinstance(event, SegmentEnded):
                self._evaluated(event)

    def flush(self) -> None:
        """Send the metrics that wait."""
        for run, waiting in self._session.metrics.items():
            metrics = self._missing(run, waiting)
            for start in range(0, len(metrics), MAX_METRICS):
                self._client.log_batch(run, metrics=metrics[start : start + MAX_METRICS], synchronous=True)
        self._session.metrics.clear()

    def _missing(self, run: str, metrics: list[Metric]) -> list[Metric]:
        """Those that are not there yet: a store of files would have them twice, unlike a database."""
        points = self._session.points
        if points is None:
            return metrics
        if run not in points:
            names = self._client.get_run(run).data.metrics
            histories = [self._client.get_metric_history(run, name) for name in names]
            points[run] = {_point(metric) for history in histories for metric in history}
        missing = [metric for metric in metrics if _point(metric) not in points[run]]
        points[run] |= {_point(metric) for metric in missing}
        return missing

    def _start_study(self, seq: int, event: StudyStarted) -> None:
        session = self._session
        session.study = event
        if session.has(seq, None):
            return
        if not session.parent:
            session.parent = self._client.create_run(
                session.experiment_id,
                start_time=event.time,
                run_name=event.study,
                tags=study_tags(event),
            ).info.run_id
            for run in session.runs.values():
                self._client.set_tag(run, PARENT, session.parent)
        if event.session == 1:
            # Parameters cannot change in MLflow: a later session's larger total stays out.
            self._batch(session.parent, params=flat(event.experiment))
            self._client.log_inputs(session.parent, [dataset_input(event.dataset)])
        else:
            self._client.update_run(session.parent, status="RUNNING")
        self._client.set_tag(session.parent, "harness.state", "running")

    def _start_trial(self, seq: int, event: TrialStarted) -> None:
        session = self._session
        number = event.trial
        if session.has(seq, number):
            if number in session.runs:
                return
            if not self._restore:  # it was made once, and is not even in the bin any more
                session.left_out.add(number)
                return
            session.again.add(number)
        if number not in session.runs:
            session.runs[number] = self._client.create_run(
                session.experiment_id,
                start_time=event.time,
                run_name=f"trial-{number:05d}",
                tags=trial_tags(session.study, event, session.parent),
            ).info.run_id
        run = session.runs[number]
        self._batch(run, params={name: str(value) for name, value in event.params.items()})
        self._client.log_inputs(run, [dataset_input(session.study.dataset)])

    def _start_segment(self, event: SegmentStarted) -> None:
        """A run that an interruption had closed is running again."""
        if event.attempt == 1:
            return
        run = self._session.runs[event.trial]
        self._client.update_run(run, status="RUNNING")
        if event.microbatches > 1:
            self._client.set_tag(run, "harness.microbatches", str(event.microbatches))

    def _epoch(self, seq: int, event: EpochEnded) -> None:
        session = self._session
        if (event.trial, event.epoch) in session.seen:
            return
        session.seen.add((event.trial, event.epoch))
        if not session.has(seq, event.trial):
            self._queue(session.runs[event.trial], event.metrics, event.time, event.epoch)

    def _queue(self, run: str, metrics: dict[str, float], time: int, step: int) -> None:
        from mlflow.entities import Metric

        session = self._session
        for name, value in metrics.items():
            if math.isfinite(value):
                session.metrics.setdefault(run, []).append(Metric(name, value, time, step))
            else:
                # MLflow would store 1.8e308 for infinity; the number itself stays in the event log.
                self._client.set_tag(run, f"harness.non_finite.{name}", f"{value} at step {step}")

    def _evaluated(self, event: SegmentEnded) -> None:
        run = self._session.runs[event.trial]
        for evaluation in event.evaluations:
            prefix = "test" if evaluation.split == "test" else "final_val"
            named = {f"{prefix}_{name}": value for name, value in evaluation.metrics.items()}
            self._queue(run, named, event.time, event.epoch)
            folder = f"evaluation/{evaluation.split}"
            self._client.log_text(run, per_class_csv(evaluation), f"{folder}_per_class.csv")
            self._client.log_text(run, confusion_csv(evaluation), f"{folder}_confusion.csv")

    def _model(self, seq: int, event: ModelSaved) -> None:
        session = self._session
        if event.trial in session.no_model:
            return
        if session.has(seq, event.trial) and not (
            # Restoring, a model that somebody has deleted is made again from its file.
            self._restore and existing_model(self._client, session, event.trial) is None
        ):
            return
        log_model(self._client, session, self._paths.folder, event)

    def _end_trial(self, seq: int, event: TrialEnded) -> None:
        session = self._session
        better = max if session.study.experiment["objective"]["direction"] == "maximize" else min
        session.ended += 1
        if event.state == "complete" and event.score is not None:
            session.best = event.score if session.best is None else better(session.best, event.score)
        if event.trial not in session.left_out and not session.has(seq, event.trial):
            self._close_run(event)
        if session.best is None or session.has(seq, None):
            return
        self._queue(session.parent, {"best_score": session.best}, event.time, session.ended)
        if event.score == session.best and event.state == "complete":
            self._batch(
                session.parent,
                tags={"harness.best_trial": str(event.trial), "harness.best_score": str(event.score)},
            )

    def _close_run(self, event: TrialEnded) -> None:
        from mlflow.entities import Metric

        session = self._session
        run = session.runs[event.trial]
        tags = {"harness.state": event.state, "harness.reason": event.reason}
        if event.failure:
            tags["harness.failure"] = event.failure
        if event.traceback:
            self._client.log_text(run, event.traceback, "failure/traceback.txt")
        if event.score is not None:
            model_id = session.models.get(event.trial)
            score = Metric("score", event.score, event.time, event.epoch, model_id=model_id)
            session.metrics.setdefault(run, []).append(score)
        self._batch(run, tags=tags)
        self._client.set_terminated(run, "FAILED" if event.state == "failed" else "FINISHED", event.time)

    def _end_study(self, seq: int, event: StudyEnded) -> None:
        session = self._session
        again = {session.runs[trial] for trial in session.again if trial in session.runs}
        whole = not session.has(seq, None)
        if not whole and not again:
            return
        self.flush()
        if not event.complete:
            mine = f"tags.`{STUDY_ID}` = '{session.study.study_id}' AND attributes.status = 'RUNNING'"
            for run in search_runs(self._client, [session.experiment_id], mine):
                own = run.info.run_id
                if own != session.parent and (whole or own in again):
                    self._batch(own, tags={"harness.state": "interrupted"})
                    self._client.set_terminated(own, "KILLED", event.time)
        if not whole:
            return
        state = "complete" if event.complete else "interrupted"
        self._batch(session.parent, tags={"harness.state": state, "harness.reason": event.reason})
        status = "FINISHED" if event.complete else "KILLED"
        self._client.set_terminated(session.parent, status, event.time)

    def _batch(
        self, run: str, *, params: dict[str, str] | None = None, tags: dict[str, str] | None = None
    ) -> None:
        from mlflow.entities import Param, RunTag

        given: list[Param] = [Param(name, value[:6000]) for name, value in (params or {}).items()]
        named: list[RunTag] = [RunTag(name, value[:5000]) for name, value in (tags or {}).items()]
        for start in range(0, max(len(given), len(named)), 100):
            self._client.log_batch(
                run, params=given[start : start + 100], tags=named[start : start + 100], synchronous=True
            )


def _point(metric: Metric) -> tuple[str, int, int, float]:
    return metric.key, metric.step, metric.timestamp, metric.value
