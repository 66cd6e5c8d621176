"""The Optuna tracker: the study as any Optuna tool reads it from its storage.

The storage itself says how far it is (which trials it has, which have ended), so replaying any part
of the log once more changes nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

from harness.experiment.folds import ONE_TRAINING, Folds
from harness.experiment.load import restore
from harness.paths import sqlite_file
from harness.records import LogRecord, SegmentEnded, StudyStarted, TrialEnded, TrialStarted
from harness.study.state import fold
from harness.tracking.address import check_optuna_address
from harness.tracking.optuna_audit import compare
from harness.tracking.optuna_storage import TRIAL, find_or_create_study, open_storage, stored_states
from harness.tracking.schema import check_optuna_schema
from harness.tracking.sqlite_file import check_writable, is_missing
from harness.tracking.stores import optuna_store
from harness.tracking.tracker import Audit, TrackedStudy, TrackerKind

if TYPE_CHECKING:
    import optuna

    from harness.experiment.space import Space


@dataclass(slots=True)
class _StoredTrial:
    """One trial in the storage."""

    id: int
    """The trial's id in Optuna's storage."""
    finished: bool
    epochs: set[int]
    """Where a value was reported."""


@dataclass(frozen=True, slots=True)
class _SpaceVersion:
    """One Optuna study: Optuna's choices cannot change within a study, so an edited space has its own."""

    study: optuna.Study
    space: Space


@dataclass(slots=True)
class _Session:
    """What the tracker knows while nothing goes wrong; after an error it is found out anew."""

    spaces: dict[int, _SpaceVersion] = field(default_factory=dict)
    """What each version of the space, counted from 1, looks like in Optuna."""
    trials: dict[int, _StoredTrial] = field(default_factory=dict)
    """What the storage holds, by the trial's number in our study."""
    metric: str = ""
    several: bool = False
    """Whether there is more than one objective."""
    scores: dict[tuple[int, int], float] = field(default_factory=dict)
    """The objective by trial and epoch, until the segment's end reports it."""
    folds: Folds = ONE_TRAINING
    """How a trial's epochs are divided among its trainings."""
    fold_scores: dict[int, dict[int, float]] = field(default_factory=dict)
    """By trial and fold, the objective after the fold's last epoch so far."""


class OptunaTracker:
    """Brings one study in an Optuna storage up to date with the event log."""

    def __init__(self, url: str) -> None:
        """Open nothing yet; `url` is the storage's address."""
        self._url = url
        self._storage_opened: Any = None
        self._session = _Session()
        self._attempted: set[str] = set()
        """Names of Optuna studies that this process has tried to create: one without an owner is ours."""

    def apply(self, records: Sequence[LogRecord]) -> None:
        """Write what these records say, in order.

        The first record is the log's first one, and no record is left out. After an error the tracker begins
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

    def audit(self, records: Sequence[LogRecord]) -> Audit:
        """Compare the states of the storage's trials with the log."""
        state = fold(records)
        return compare(state, stored_states(self._url, state.started.study_id))

    def _apply(self, record: LogRecord) -> None:
        event = record.event
        if record.seq == 1:
            self._session = _Session()  # the log begins again
        if isinstance(event, StudyStarted):
            self._open(event)
        elif not self._session.spaces:
            raise ValueError("a tracker is given the event log from its first record")
        elif isinstance(event, TrialStarted):
            self._start(event)
        elif event.kind == "epoch_ended":
            value = event.metrics.get(self._session.metric)
            if value is not None:
                self._session.scores[event.trial, event.epoch] = value
                if event.fold is not None:
                    self._session.fold_scores.setdefault(event.trial, {})[event.fold] = value
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
        session, experiment = self._session, restore(event.experiment)
        space, objectives = experiment.space, experiment.objectives
        number = len(session.spaces)
        if number and session.spaces[number].space == space:
            return
        number += 1
        study = find_or_create_study(
            self._storage,
            event.study if number == 1 else f"{event.study} (space {number})",
            event.study_id,
            [objective.direction for objective in objectives],
            self._attempted,
        )
        stored = {
            int(trial.user_attrs[TRIAL]): _StoredTrial(
                trial._trial_id, trial.state.is_finished(), set(trial.intermediate_values)
            )
            for trial in study.get_trials(deepcopy=False)
            if TRIAL in trial.user_attrs  # others were added by somebody else
        }
        # Only now that nothing can fail any more: what is noted here is taken for done.
        session.spaces[number] = _SpaceVersion(study, space)
        session.trials |= stored
        session.metric, session.several = objectives[0].name, len(objectives) > 1
        session.folds = experiment.folds

    def _start(self, event: TrialStarted) -> None:
        from optuna.trial import FrozenTrial, TrialState

        from harness.tracking.optuna_space import distributions_of

        if event.trial in self._session.trials:
            return
        space_version = self._session.spaces[event.generation]
        own = self._storage.create_new_trial(
            space_version.study._study_id,
            template_trial=FrozenTrial(
                number=-1,
                state=TrialState.RUNNING,
                value=None,
                datetime_start=_local(event.time),
                datetime_complete=None,
                params=dict(event.sampled),
                distributions=distributions_of(space_version.space, event.sampled),
                user_attrs={TRIAL: event.trial, "params": event.params, "seed": event.seed},
                system_attrs={},
                intermediate_values={},
                trial_id=-1,
            ),
        )
        self._session.trials[event.trial] = _StoredTrial(own, finished=False, epochs=set())

    def _report(self, event: SegmentEnded) -> None:
        session = self._session
        value = self._score_after(event)
        trial = session.trials[event.trial]
        if value is None or session.several or trial.finished or event.epoch in trial.epochs:
            return
        self._storage.set_trial_intermediate_value(trial.id, event.epoch, value)
        trial.epochs.add(event.epoch)

    def _score_after(self, event: SegmentEnded) -> float | None:
        """The objective at the end of a segment; with folds, at the end of one, its mean over them."""
        session, folds = self._session, self._session.folds
        if not folds.parts:
            return session.scores.get((event.trial, event.epoch))
        ended = folds.finished(event.epoch)
        known = session.fold_scores.get(event.trial, {})
        if ended * folds.epochs != event.epoch or not known.keys() >= set(range(ended)):
            return None
        return fmean(known[fold] for fold in range(ended))

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


def _local(milliseconds: int) -> datetime.datetime:
    """Optuna stores naive local times."""
    return datetime.datetime.fromtimestamp(milliseconds / 1000)


def _check(_: TrackedStudy) -> None:
    url = optuna_store().address
    check_optuna_address(url)
    if is_missing(url):
        return  # it will be made
    check_optuna_schema(url)
    if sqlite_file(url) is None:
        open_storage(url).engine.dispose()
    check_writable(url)


KIND = TrackerKind(make=lambda _: OptunaTracker(optuna_store().address), check=_check)
