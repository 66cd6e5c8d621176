"""The MLflow view of the event log: the study as a parent run, its trials as child runs.

Everything is looked up by the study's id before it is made, and metrics keep their original time and
step, so replaying any part of the log again changes nothing. The cursor only saves time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from harness.paths import StudyPaths, write_text
from harness.records import LogRecord, StudyEnded, StudyStarted
from harness.tracking.cursor import Cursor, cursor_text, read_cursor
from harness.tracking.mlflow_client import connect
from harness.tracking.mlflow_runs import (
    find_study,
    gather,
    remove_needless_models,
    study_models,
    without_their_model,
)
from harness.tracking.mlflow_session import Destination, Session, left_out_sentence, open_session
from harness.tracking.mlflow_writer import Writer

if TYPE_CHECKING:
    from mlflow import MlflowClient


class MlflowView:
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
        self._session: Session | None = None
        self._failed = False
        """Some call has failed, so a lost answer may have made something twice."""
        self._told: tuple[frozenset[int], frozenset[int]] = frozenset(), frozenset()
        """Trials without a run, and those without a model, that have been told of."""

    def apply(self, records: Sequence[LogRecord]) -> None:
        """Write what these records say, in order, then note how far that is.

        The first record is the log's first one, and no record is left out. After an error the view begins
        anew: it must be given the log from its first record again, and finds in MLflow what it had made.
        """
        try:
            self._apply(records)
        except BaseException:
            self._session, self._failed = None, True
            raise
        if records and self._session is not None:
            self._tell_left_out(self._session)
            self._note_progress(self._session, records[-1].seq)

    def _apply(self, records: Sequence[LogRecord]) -> None:
        for record in records:
            if record.seq == 1:
                self._session = None  # the log begins again
            if self._session is None:
                if not isinstance(record.event, StudyStarted):
                    raise ValueError("a view is given the event log from its first record")
                self._session = open_session(self._client, self._to, record.event, self._cursor)
            self._writer(self._session).write(record)
            if isinstance(record.event, StudyEnded) and self._failed and record.seq > self._cursor.seq:
                self.reconcile()
        if self._session is not None:
            self._writer(self._session).flush()

    def _writer(self, session: Session) -> Writer:
        return Writer(self._client, session, self._paths, restore=self._to.restore)

    @property
    def _client(self) -> MlflowClient:
        if self._client_made is None:
            self._client_made = connect(self._to.uri)
        return self._client_made

    def reconcile(self) -> None:
        """Remove runs and models that were made twice because an answer was lost or came late."""
        assert self._session is not None, "records come first"
        study_id = self._session.study.study_id
        found = find_study(self._client, self._to.experiment, study_id, self._cursor)
        gather(self._client, found)
        if found.experiment is not None:
            models = study_models(self._client, found.experiment.experiment_id, study_id)
            remove_needless_models(self._client, found, models)
            if not self._to.restore:
                self._session.no_model |= set(without_their_model(found.trials, models))
        if not self._to.restore:
            self._session.left_out |= found.deleted.keys()
        self._tell_left_out(self._session)

    def _tell_left_out(self, session: Session) -> None:
        missing = frozenset(session.left_out), frozenset(session.no_model - session.left_out)
        if any(now - before for now, before in zip(missing, self._told, strict=True)):
            self._told = missing
            self._to.note(left_out_sentence(self._to.study, *missing))

    def _note_progress(self, session: Session, seq: int) -> None:
        # Until the replay has come to where it began, a view that takes over must do it again.
        replaying = seq < session.began_at
        again = {trial for trial in session.again if trial is not None} if replaying else set()
        session.done = max(session.done, seq)
        cursor = Cursor(
            seq=session.done,
            experiment=session.experiment_id,
            run=self._cursor.run if replaying and None in session.again else session.parent,
            left_out=tuple(sorted(session.left_out | again)),
        )
        if cursor != self._cursor:
            write_text(self._paths.tracking_cursor, cursor_text(cursor))
            self._cursor = cursor
