"""The Optuna view of the event log: the study as any Optuna tool reads it from its storage.

The storage itself says how far it is (which trials it has, which have ended), so replaying any part
of the log again changes nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from harness.records import LogRecord, Params, SegmentEnded, StudyStarted, TrialEnded, TrialStarted

if TYPE_CHECKING:
    import optuna

SQLITE_BUSY_SECONDS = 20.0
STUDY_ID = "harness.study_id"
Replay = Callable[[Params], dict[str, Any]]
"""Sampled values to Optuna's distributions by name."""


class OptunaView:
    """Brings one study in an Optuna storage up to date with the event log."""

    def __init__(self, url: str, distributions: Replay) -> None:
        self._url = url
        self._distributions = distributions
        self._study: optuna.Study | None = None
        self._metric = ""
        self._scores: dict[tuple[int, int], float] = {}
        """The objective by trial and epoch, until the segment's end reports it."""

    def apply(self, records: Sequence[LogRecord]) -> None:
        """Write what these records say, in order."""
        for record in records:
            event = record.event
            if isinstance(event, StudyStarted):
                self._open(event)
            elif isinstance(event, TrialStarted):
                self._start(event)
            elif event.kind == "epoch_ended":
                value = event.metrics.get(self._metric)
                if value is not None:
                    self._scores[event.trial, event.epoch] = value
            elif isinstance(event, SegmentEnded):
                self._report(event)
            elif isinstance(event, TrialEnded):
                self._end(event)

    def _open(self, event: StudyStarted) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        objective = event.experiment["objective"]
        self._metric = objective["metric"]
        storage = open_storage(self._url)
        name = event.study
        for study in optuna.get_all_study_summaries(storage):
            if study.study_name == name and study.user_attrs.get(STUDY_ID) != event.study_id:
                # The name was used before, in a folder that is gone or by someone else.
                name = f"{event.study} ({event.study_id[:8]})"
        self._study = optuna.create_study(
            study_name=name,
            storage=storage,
            direction=objective["direction"],
            load_if_exists=True,
        )
        self._study.set_user_attr(STUDY_ID, event.study_id)

    def _start(self, event: TrialStarted) -> None:
        from optuna.trial import FrozenTrial, TrialState

        study = self._opened()
        if event.trial < len(study.get_trials(deepcopy=False)):
            return
        study._storage.create_new_trial(
            study._study_id,
            template_trial=FrozenTrial(
                number=-1,
                state=TrialState.RUNNING,
                value=None,
                datetime_start=_local(event.time),
                datetime_complete=None,
                params=dict(event.sampled),
                distributions=self._distributions(event.sampled),
                user_attrs={"params": event.params, "seed": event.seed},
                system_attrs={},
                intermediate_values={},
                trial_id=-1,
            ),
        )

    def _report(self, event: SegmentEnded) -> None:
        value = self._scores.get((event.trial, event.epoch))
        trial = self._trial(event.trial)
        if value is not None and not trial.state.is_finished():
            storage = self._opened()._storage
            storage.set_trial_intermediate_value(trial._trial_id, event.epoch, value)

    def _end(self, event: TrialEnded) -> None:
        from optuna.trial import TrialState

        trial = self._trial(event.trial)
        if trial.state.is_finished():
            return
        states = {
            "complete": TrialState.COMPLETE if event.score is not None else TrialState.FAIL,
            "pruned": TrialState.PRUNED,
            "failed": TrialState.FAIL,
        }
        storage = self._opened()._storage
        storage.set_trial_user_attr(trial._trial_id, "reason", event.reason)
        if event.failure is not None:
            storage.set_trial_user_attr(trial._trial_id, "failure", event.failure)
        values = [event.score] if event.score is not None and event.state != "failed" else None
        storage.set_trial_state_values(trial._trial_id, states[event.state], values)

    def _trial(self, number: int) -> optuna.trial.FrozenTrial:
        return self._opened().get_trials(deepcopy=False)[number]

    def _opened(self) -> optuna.Study:
        assert self._study is not None, "the log begins with StudyStarted"
        return self._study


def open_storage(url: str) -> Any:
    """An Optuna storage; SQLite in write-ahead mode with a patient lock."""
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    if not url.startswith("sqlite"):
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": SQLITE_BUSY_SECONDS}})

    def on_connect(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    storage.engine.dispose()
    event.listen(storage.engine, "connect", on_connect)
    return storage


def _local(milliseconds: int) -> datetime.datetime:
    """Optuna stores naive local times."""
    return datetime.datetime.fromtimestamp(milliseconds / 1000)
