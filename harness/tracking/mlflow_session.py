"""Take a study up in an MLflow store: find what there is, bring it into order, know what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.experiment.experiment import Experiment
from harness.experiment.load import restore
from harness.records import Params, StudyStarted
from harness.tracking.address import is_folder
from harness.tracking.cursor import Cursor
from harness.tracking.mlflow_experiment import create_experiment, in_bin, leaves, restore_experiment
from harness.tracking.mlflow_runs import StudyRuns, find_study, gather, is_deleted, supersede
from harness.tracking.mlflow_study_models import study_models, without_their_model

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a study goes, and how."""

    uri: str
    """The address of the store."""
    experiment: str
    """The experiment's name, for a study that is not there yet."""
    study: str
    """The study's name, for sentences."""
    note: Callable[[str], None]
    """A function that is told what was deleted in MLflow, and what becomes of it."""
    restore: bool
    """What somebody has deleted is written anew, rather than left out."""


@dataclass(slots=True)
class Session:
    """What the tracker knows while nothing goes wrong; after an error it is found out anew."""

    study: StudyStarted
    experiment: Experiment
    """The experiment of the latest session, compiled."""
    experiment_id: str
    parent: str
    """The id of the study's own run; nothing until it is made."""
    runs: dict[int, str]
    """Run ids by trial; those of ensembles, here and below, by `ensemble_key`."""
    done: int
    """The last record that is in MLflow for certain."""
    began_at: int
    """What `done` was at the beginning."""
    known: bool
    """MLflow had something of the study, so records after `done` may be there too."""
    left_out: set[int]
    """Trials whose runs somebody has deleted."""
    incomplete: set[int | None]
    """Trials (None: the study's own run) that lack records up to `began_at`."""
    no_model: set[int]
    """Trials whose model somebody has deleted."""
    params: dict[int, Params] = field(default_factory=dict)
    """Each trial's parameters, as its `TrialStarted` says."""
    models: dict[int, str] = field(default_factory=dict)
    """Model ids by trial."""
    seen: set[tuple[int, int]] = field(default_factory=set)
    """Trials and epochs whose metrics are known: a repeated epoch is not sent again."""
    metrics: dict[str, list[Metric]] = field(default_factory=dict)
    """Metrics that wait for the end of the batch, by run id."""
    points: dict[str, set[tuple[str, int, int, float]]] | None = None
    """The store's metrics (name, step, time, value) by run id; None for a store that takes none twice."""
    opened: set[int] = field(default_factory=set)
    """Trials and ensembles whose model was evaluated on the test images."""
    ended: int = 0
    """Trials that have ended."""
    best: float | None = None
    """The best score of a complete trial; None before there is one."""
    best_trial: int | None = None

    def has(self, seq: int, trial: int | None) -> bool:
        """Whether MLflow has what this record says of a trial (None: of the study's own run)."""
        return seq <= self.done and trial not in self.incomplete


def open_session(client: MlflowClient, to: Destination, event: StudyStarted, cursor: Cursor) -> Session:
    """Find the study's runs; remove what was made twice, and gather its trials under the study's own run.

    Raises:
        StoreError: the experiment lies in the bin; what to do about it.
    """
    found = _usable(client, to, event, cursor)
    if cursor.outdated and found.experiment is not None:
        found, cursor = _supersede_all(client, found, event.study_id), Cursor()
    if found.experiment is None:
        experiment_id = create_experiment(client, to.uri, to.experiment)
    else:
        experiment_id = found.experiment.experiment_id
        if found.known and found.experiment.name != to.experiment:
            to.note(f"MLflow: this study is in the experiment {found.experiment.name!r}, and stays there.")
    is_here = found.is_of(cursor)
    if gather(client, found):
        to.note(
            "MLflow: the study's own run had been deleted; it was restored, so that its trials stay together."
        )
    elif is_here and found.study is None:
        to.note("MLflow: the study's own run had been deleted for good; it is made again.")
    runs = {trial: run.info.run_id for trial, run in found.trials.items()}
    incomplete: set[int | None] = {trial for trial in cursor.left_out if trial in runs}
    if found.study is None or (cursor.run and found.study.info.run_id != cursor.run):
        incomplete.add(None)
    if to.restore:
        for trial, run in found.deleted.items():
            client.restore_run(run.info.run_id)
            runs[trial] = run.info.run_id
            incomplete.add(trial)
    done = cursor.seq if is_here else 0
    return Session(
        study=event,
        experiment=restore(event.experiment),
        experiment_id=experiment_id,
        parent=found.study.info.run_id if found.study else "",
        runs=runs,
        done=done,
        began_at=done,
        known=found.known,
        left_out=set() if to.restore else set(found.deleted),
        incomplete=incomplete,
        no_model=set() if to.restore else _without_model(client, found, event.study_id),
        points={} if is_folder(to.uri) else None,
    )


def _usable(client: MlflowClient, to: Destination, event: StudyStarted, cursor: Cursor) -> StudyRuns:
    """What the store has of the study, in an experiment that can be written to."""
    found = find_study(client, to.experiment, event.study_id, cursor)
    if found.experiment is None or not is_deleted(found.experiment):
        return found
    if to.restore:
        restore_experiment(client, found.experiment)
        to.note(f"MLflow: the experiment {found.experiment.name!r} was restored.")
        return find_study(client, to.experiment, event.study_id, cursor)
    if leaves(found.experiment):
        named = client.get_experiment_by_name(to.experiment)
        if named is None or not is_deleted(named):
            return StudyRuns(named)
    raise in_bin(found.experiment, to.study)


def _supersede_all(client: MlflowClient, found: StudyRuns, study_id: str) -> StudyRuns:
    """Delete whatever there is of the study, because it tells of records that were lost."""
    assert found.experiment is not None
    own = [found.study] if found.study else []
    supersede(client, [*found.trials.values(), *found.needless, *own])
    for models in study_models(client, found.experiment.experiment_id, study_id).values():
        for model in models:
            client.delete_logged_model(model.model_id)
    return StudyRuns(found.experiment, deleted=found.deleted)


def _without_model(client: MlflowClient, found: StudyRuns, study_id: str) -> set[int]:
    if found.experiment is None or not any(run.outputs for run in found.trials.values()):
        return set()
    models = study_models(client, found.experiment.experiment_id, study_id)
    return set(without_their_model(found.trials, models))
