"""The MLflow tracker: the study as a parent run, its trials as child runs.

Everything is looked up by the study's id before it is made, and metrics keep their original time and
step, so writing any part of the log once more changes nothing. The cursor only saves time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from harness.errors import StoreError
from harness.paths import StudyPaths, write_text
from harness.records import EnsembleSaved, LogRecord, StudyEnded, StudyStarted, TrialStarted
from harness.study.state import fold
from harness.tracking.address import check_mlflow_address, same_database
from harness.tracking.cursor import Cursor, cursor_text, read_cursor
from harness.tracking.mlflow_audit import compare
from harness.tracking.mlflow_client import connect
from harness.tracking.mlflow_experiment import check_experiment, experiment_name, look_up
from harness.tracking.mlflow_left_out import left_out_sentence
from harness.tracking.mlflow_reader import tracked_runs
from harness.tracking.mlflow_runs import ensemble_key, find_study, gather
from harness.tracking.mlflow_session import Destination, Session, open_session
from harness.tracking.mlflow_study_models import remove_needless_models, study_models, without_their_model
from harness.tracking.mlflow_writer import Writer
from harness.tracking.schema import check_mlflow_schema
from harness.tracking.sqlite_file import check_writable, is_missing
from harness.tracking.stores import mlflow_store, optuna_store
from harness.tracking.tracker import Audit, TrackedStudy, TrackerKind

if TYPE_CHECKING:
    from mlflow import MlflowClient


class MlflowTracker:
    """Brings one study in an MLflow store up to date with the event log."""

    def __init__(
        self,
        uri: str,
        experiment: str,
        paths: StudyPaths,
        *,
        note: Callable[[str], None] = lambda _: None,
        restore: bool = False,
    ) -> None:
        self._to = Destination(uri, experiment, paths.folder.name, note, restore)
        self._paths = paths
        self._client_made: MlflowClient | None = None
        self._cursor = read_cursor(paths.tracking_cursor)
        self._writer: Writer | None = None
        """What writes records to MLflow; None before the first record, and after an error."""
        self._failed = False
        """Some call has failed, so a lost answer may have made something twice."""
        self._told: tuple[frozenset[int], frozenset[int]] = frozenset(), frozenset()
        """Trials without a run, and those without a model, that have been told of."""

    def apply(self, records: Sequence[LogRecord]) -> None:
        """Write what these records say, in order, then note how far that is.

        The first record is the log's first one, and no record is left out. After an error the tracker begins
        anew: it must be given the log from its first record again, and finds in MLflow what it had made.
        """
        try:
            self._apply(records)
        except BaseException:
            self._writer, self._failed = None, True
            raise
        if records and self._writer is not None:
            self._tell_left_out(self._writer.session)
            self._note_progress(self._writer.session, records[-1].seq)

    def _apply(self, records: Sequence[LogRecord]) -> None:
        for record in records:
            if record.seq == 1:
                self._writer = None  # the log begins again
            if self._writer is None:
                if not isinstance(record.event, StudyStarted):
                    raise ValueError("a tracker is given the event log from its first record")
                self._writer = self._open(record.event)
            if isinstance(record.event, StudyEnded) and self._failed and record.seq > self._cursor.seq:
                self._writer.flush()
                self.reconcile()  # before the study's run is told of its best model: it may be there twice
            self._writer.write(record)
        if self._writer is not None:
            self._writer.flush()

    def _open(self, event: StudyStarted) -> Writer:
        session = open_session(self._client, self._to, event, self._cursor)
        return Writer(self._client, session, self._paths, restore_deleted=self._to.restore)

    @property
    def _client(self) -> MlflowClient:
        if self._client_made is None:
            self._client_made = connect(self._to.uri)
        return self._client_made

    def reconcile(self) -> None:
        """Remove runs and models that were made twice because an answer was lost or came late."""
        assert self._writer is not None, "records come first"
        session = self._writer.session
        study_id = session.study.study_id
        found = find_study(self._client, self._to.experiment, study_id, self._cursor)
        gather(self._client, found)
        if found.experiment is not None:
            models = study_models(self._client, found.experiment.experiment_id, study_id)
            remove_needless_models(self._client, found, models)
            if not self._to.restore:
                session.no_model |= set(without_their_model(found.trials, models))
        if not self._to.restore:
            session.left_out |= found.deleted.keys()
        self._tell_left_out(session)

    def audit(self, records: Sequence[LogRecord]) -> Audit:
        """Compare runs, metrics and models with the log."""
        state = fold(records)
        runs = tracked_runs(
            self._to.uri,
            self._to.experiment,
            state.started.study_id,
            study=self._to.study,
            cursor=read_cursor(self._paths.tracking_cursor),
            started=_beginnings(records),
        )
        return compare(state, runs)

    def _tell_left_out(self, session: Session) -> None:
        missing = frozenset(session.left_out), frozenset(session.no_model - session.left_out)
        if any(now - before for now, before in zip(missing, self._told, strict=True)):
            self._told = missing
            self._to.note(left_out_sentence(self._to.study, *missing))

    def _note_progress(self, session: Session, seq: int) -> None:
        # Until the replay has come to where it began, a tracker that takes over must repeat it.
        replaying = seq < session.began_at
        incomplete = {trial for trial in session.incomplete if trial is not None} if replaying else set()
        session.done = max(session.done, seq)
        cursor = Cursor(
            seq=session.done,
            experiment=session.experiment_id,
            run=self._cursor.run if replaying and None in session.incomplete else session.parent,
            left_out=tuple(sorted(session.left_out | incomplete)),
        )
        if cursor != self._cursor:
            write_text(self._paths.tracking_cursor, cursor_text(cursor))
            self._cursor = cursor


def _beginnings(records: Sequence[LogRecord]) -> dict[int, int]:
    """The log's number of each trial's start by the trial, and of each ensemble by its key."""
    found: dict[int, int] = {}
    for record in records:
        if isinstance(record.event, TrialStarted):
            found[record.event.trial] = record.seq
        elif isinstance(record.event, EnsembleSaved):
            found[ensemble_key(record.event.number)] = record.seq
    return found


def _make(study: TrackedStudy) -> MlflowTracker:
    return MlflowTracker(
        mlflow_store().address,
        experiment_name(study.experiment),
        study.paths,
        note=study.note,
        restore=study.restore,
    )


def _check(study: TrackedStudy) -> None:
    uri = mlflow_store().address
    check_mlflow_address(uri)
    if same_database(uri, optuna_store().address):
        raise StoreError(
            f"MLFLOW_TRACKING_URI and HARNESS_STORAGE name the same database ({optuna_store().shown}), and "
            "MLflow and Optuna cannot share one. Name another in HARNESS_STORAGE."
        )
    if is_missing(uri):
        return  # it will be made
    check_mlflow_schema(uri)
    name, run = experiment_name(study.experiment), read_cursor(study.paths.tracking_cursor).run
    own, named = look_up(uri, name, run)
    check_experiment(own, named, study.paths.folder.name if study.paths.log.exists() else "")
    check_writable(uri)


KIND = TrackerKind(make=_make, check=_check)
