"""The Optuna view of the event log: the study as any Optuna tool reads it from its storage.

The storage itself says how far it is (which trials it has, which have ended), so replaying any part
of the log again changes nothing.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.errors import UnreachableError
from harness.experiment.space import parse_space
from harness.paths import is_sqlite
from harness.records import LogRecord, SegmentEnded, StudyStarted, TrialEnded, TrialStarted
from harness.tracking.address import check_optuna_address
from harness.tracking.schema import check_optuna_schema
from harness.tracking.sqlite_file import ensure_store

if TYPE_CHECKING:
    import optuna

    from harness.experiment.space import Space

SQLITE_BUSY_SECONDS = 20.0
STUDY_ID = "harness.study_id"
TRIAL = "trial"
CLAIM_SECONDS = 2.0
"""An Optuna study without trials that has had no owner for so long was left by a process that was killed."""


@dataclass(slots=True)
class _Stored:
    """One trial in the storage."""

    id: int
    finished: bool
    epochs: set[int]
    """Where a value was reported."""


@dataclass(frozen=True, slots=True)
class _Generation:
    """One Optuna study: Optuna's choices cannot change within a study, so an edited space has its own."""

    study: optuna.Study
    space: Space


@dataclass(slots=True)
class _Session:
    """What the view knows while nothing goes wrong; after an error it is found out anew."""

    generations: dict[int, _Generation] = field(default_factory=dict)
    """By number, from 1."""
    trials: dict[int, _Stored] = field(default_factory=dict)
    """What the storage holds, by the trial's number in our study."""
    metric: str = ""
    several: bool = False
    """There is more than one objective."""
    scores: dict[tuple[int, int], float] = field(default_factory=dict)
    """The objective by trial and epoch, until the segment's end reports it."""


class OptunaView:
    """Brings one study in an Optuna storage up to date with the event log."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._storage_opened: Any = None
        self._session = _Session()
        self._attempted: set[str] = set()
        """Names of Optuna studies that this process has tried to create: one without an owner is ours."""

    def apply(self, records: Sequence[LogRecord]) -> None:
        """Write what these records say, in order.

        The first record is the log's first one, and no record is left out. After an error the view begins
        anew: it must be given the log from its first record again, and finds in the storage what it had
        written.
        """
        try:
            for record in records:
                self._apply(record)
        except BaseException:
            self._session = _Session()
            raise

    def reconcile(self) -> None:
        """Nothing is ever there twice: a trial is looked for before it is made."""

    def _apply(self, record: LogRecord) -> None:
        event = record.event
        if record.seq == 1:
            self._session = _Session()  # the log begins again
        if isinstance(event, StudyStarted):
            self._open(event)
        elif not self._session.generations:
            raise ValueError("a view is given the event log from its first record")
        elif isinstance(event, TrialStarted):
            self._start(event)
        elif event.kind == "epoch_ended":
            value = event.metrics.get(self._session.metric)
            if value is not None:
                self._session.scores[event.trial, event.epoch] = value
        elif isinstance(event, SegmentEnded):
            self._report(event)
        elif isinstance(event, TrialEnded):
            self._end(event)

    @property
    def _storage(self) -> Any:
        if self._storage_opened is None:
            self._storage_opened = open_storage(self._url)
        return self._storage_opened

    def _open(self, event: StudyStarted) -> None:
        session, experiment = self._session, event.experiment
        space = parse_space(experiment["space"], experiment.get("model"))
        number = len(session.generations)
        if number and session.generations[number].space == space:
            return
        number += 1
        objectives = [experiment["objective"], *experiment.get("also", [])]
        study = self._find_or_create(
            event.study if number == 1 else f"{event.study} (space {number})",
            event.study_id,
            [objective["direction"] for objective in objectives],
        )
        stored = {
            int(trial.user_attrs[TRIAL]): _Stored(
                trial._trial_id, trial.state.is_finished(), set(trial.intermediate_values)
            )
            for trial in study.get_trials(deepcopy=False)
            if TRIAL in trial.user_attrs  # others were added by somebody else
        }
        # Only now that nothing can fail any more: what is noted here is taken for done.
        session.generations[number] = _Generation(study, space)
        session.trials |= stored
        session.metric, session.several = objectives[0]["metric"], len(objectives) > 1

    def _find_or_create(self, name: str, study_id: str, directions: list[Any]) -> optuna.Study:
        """The Optuna study of this name that is ours; the name may have been used by somebody else."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        known = {study.study_name: study for study in optuna.get_all_study_summaries(self._storage)}
        names = [name, f"{name} ({study_id[:8]})", f"{name} ({study_id})"]
        owners = {one: known[one].user_attrs.get(STUDY_ID) for one in names if one in known}
        # Ours first, whichever name it has.
        names.sort(key=lambda one: owners.get(one) != study_id)
        for one in names:
            if one not in known:
                self._attempted.add(one)
                found = optuna.create_study(study_name=one, storage=self._storage, directions=directions)
            elif owners[one] in (None, study_id) and (owners[one] or not known[one].n_trials):
                if owners[one] is None and one not in self._attempted:
                    time.sleep(CLAIM_SECONDS)  # it may be somebody else's who is just making it
                found = optuna.load_study(study_name=one, storage=self._storage)
            else:
                continue
            if _claim(found, study_id):
                return found
        raise UnreachableError(f"Optuna's storage has no name left for the study {name!r}.")

    def _start(self, event: TrialStarted) -> None:
        from optuna.trial import FrozenTrial, TrialState

        from harness.tracking.optuna_space import distributions_of

        if event.trial in self._session.trials:
            return
        generation = self._session.generations[event.generation]
        own = self._storage.create_new_trial(
            generation.study._study_id,
            template_trial=FrozenTrial(
                number=-1,
                state=TrialState.RUNNING,
                value=None,
                datetime_start=_local(event.time),
                datetime_complete=None,
                params=dict(event.sampled),
                distributions=distributions_of(generation.space, event.sampled),
                user_attrs={TRIAL: event.trial, "params": event.params, "seed": event.seed},
                system_attrs={},
                intermediate_values={},
                trial_id=-1,
            ),
        )
        self._session.trials[event.trial] = _Stored(own, finished=False, epochs=set())

    def _report(self, event: SegmentEnded) -> None:
        session = self._session
        value = session.scores.get((event.trial, event.epoch))
        trial = session.trials[event.trial]
        if value is None or session.several or trial.finished or event.epoch in trial.epochs:
            return
        self._storage.set_trial_intermediate_value(trial.id, event.epoch, value)
        trial.epochs.add(event.epoch)

    def _end(self, event: TrialEnded) -> None:
        from optuna.trial import TrialState

        trial = self._session.trials[event.trial]
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


def _claim(study: optuna.Study, study_id: str) -> bool:
    """Write our id to an Optuna study, unless it has another one."""
    if study.user_attrs.get(STUDY_ID) is None:
        study.set_user_attr(STUDY_ID, study_id)
    return bool(study.user_attrs.get(STUDY_ID) == study_id)


def open_storage(url: str) -> Any:
    """An Optuna storage; SQLite in write-ahead mode with a patient lock.

    Raises:
        StoreError: the storage cannot work, whatever one waits for.
        Exception: whatever Optuna and the libraries beneath it raise, see `harness.tracking.store_errors`.
    """
    check_optuna_address(url)
    check_optuna_schema(url)
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    if not is_sqlite(url):
        return RDBStorage(_verbatim(url), engine_kwargs={"pool_pre_ping": True})
    ensure_store(url, lambda fresh: RDBStorage(fresh).engine.dispose())
    storage = RDBStorage(_verbatim(url), engine_kwargs={"connect_args": {"timeout": SQLITE_BUSY_SECONDS}})

    def on_connect(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    storage.engine.dispose()
    event.listen(storage.engine, "connect", on_connect)
    return storage


def _verbatim(url: str) -> str:
    """The URL as Optuna leaves it alone: it fills in what stands in braces."""
    return url.replace("{", "{{").replace("}", "}}")


def _local(milliseconds: int) -> datetime.datetime:
    """Optuna stores naive local times."""
    return datetime.datetime.fromtimestamp(milliseconds / 1000)
