"""The Optuna view of the event log: the study as any Optuna tool reads it from its storage.

The storage itself says how far it is (which trials it has, which have ended), so replaying any part
of the log again changes nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.experiment.space import parse_space
from harness.records import LogRecord, SegmentEnded, StudyStarted, TrialEnded, TrialStarted
from harness.tracking.sqlite_file import ensure_store

if TYPE_CHECKING:
    import optuna

    from harness.experiment.space import Space

SQLITE_BUSY_SECONDS = 20.0
STUDY_ID = "harness.study_id"


@dataclass(slots=True)
class _Stored:
    """One trial in the storage."""

    id: int
    finished: bool
    epochs: set[int]
    """Where a value was reported."""


class OptunaView:
    """Brings one study in an Optuna storage up to date with the event log."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._storage: Any = None
        self._studies: dict[int, optuna.Study] = {}
        """By generation: Optuna's choices cannot change within a study, so an edited space has its own."""
        self._spaces: dict[int, Space] = {}
        self._generation = 0
        self._places: dict[int, tuple[int, int]] = {}
        """Generation and number in its Optuna study, by trial."""
        self._counts: dict[int, int] = {}
        """Trials of each generation so far."""
        self._stored: dict[tuple[int, int], _Stored] = {}
        """What the storage holds, by generation and number."""
        self._metric = ""
        self._several = False
        self._scores: dict[tuple[int, int], float] = {}
        """The objective by trial and epoch, until the segment's end reports it."""

    def apply(self, records: Sequence[LogRecord]) -> None:
        """Write what these records say, in order.

        After an error the same records may be given again: what had been written is found.
        """
        try:
            self._apply(records)
        except BaseException:
            for generation, study in self._studies.items():
                self._read(generation, study)
            raise

    def _apply(self, records: Sequence[LogRecord]) -> None:
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
        experiment = event.experiment
        space = parse_space(experiment["space"], experiment.get("model"))
        if self._spaces.get(self._generation) == space:
            return
        self._generation += 1
        self._spaces[self._generation] = space
        objectives = [experiment["objective"], *experiment.get("also", [])]
        self._metric = objectives[0]["metric"]
        self._several = len(objectives) > 1
        self._storage = self._storage or open_storage(self._url)
        name = event.study if self._generation == 1 else f"{event.study} (space {self._generation})"
        for study in optuna.get_all_study_summaries(self._storage):
            if study.study_name == name and study.user_attrs.get(STUDY_ID) != event.study_id:
                # The name was used before, in a folder that is gone or by someone else.
                name = f"{name} ({event.study_id[:8]})"
        found = optuna.create_study(
            study_name=name,
            storage=self._storage,
            directions=[objective["direction"] for objective in objectives],
            load_if_exists=True,
        )
        if found.user_attrs.get(STUDY_ID) != event.study_id:
            found.set_user_attr(STUDY_ID, event.study_id)
        self._studies[self._generation] = found
        self._read(self._generation, found)

    def _read(self, generation: int, study: optuna.Study) -> None:
        for trial in study.get_trials(deepcopy=False):
            self._stored[generation, trial.number] = _Stored(
                trial._trial_id, trial.state.is_finished(), set(trial.intermediate_values)
            )

    def _start(self, event: TrialStarted) -> None:
        from optuna.trial import FrozenTrial, TrialState

        from harness.tracking.optuna_space import distributions_of

        generation = event.generation
        if event.trial not in self._places:
            self._places[event.trial] = (generation, self._counts.get(generation, 0))
            self._counts[generation] = self._counts.get(generation, 0) + 1
        place = self._places[event.trial]
        if place in self._stored:
            return
        study = self._studies[generation]
        own = study._storage.create_new_trial(
            study._study_id,
            template_trial=FrozenTrial(
                number=-1,
                state=TrialState.RUNNING,
                value=None,
                datetime_start=_local(event.time),
                datetime_complete=None,
                params=dict(event.sampled),
                distributions=distributions_of(self._spaces[generation], event.sampled),
                user_attrs={"trial": event.trial, "params": event.params, "seed": event.seed},
                system_attrs={},
                intermediate_values={},
                trial_id=-1,
            ),
        )
        self._stored[place] = _Stored(own, finished=False, epochs=set())

    def _report(self, event: SegmentEnded) -> None:
        value = self._scores.get((event.trial, event.epoch))
        trial = self._stored[self._places[event.trial]]
        if value is None or self._several or trial.finished or event.epoch in trial.epochs:
            return
        self._storage.set_trial_intermediate_value(trial.id, event.epoch, value)
        trial.epochs.add(event.epoch)

    def _end(self, event: TrialEnded) -> None:
        from optuna.trial import TrialState

        trial = self._stored[self._places[event.trial]]
        if trial.finished:
            return
        states = {
            "complete": TrialState.COMPLETE if event.values is not None else TrialState.FAIL,
            "pruned": TrialState.PRUNED,
            "failed": TrialState.FAIL,
        }
        storage = self._storage
        storage.set_trial_user_attr(trial.id, "reason", event.reason)
        if event.failure is not None:
            storage.set_trial_user_attr(trial.id, "failure", event.failure)
        values = event.values if event.state != "failed" else None
        storage.set_trial_state_values(trial.id, states[event.state], values)
        trial.finished = True


def open_storage(url: str) -> Any:
    """An Optuna storage; SQLite in write-ahead mode with a patient lock."""
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    if not url.startswith("sqlite"):
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    ensure_store(url, lambda fresh: RDBStorage(fresh).engine.dispose())
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
