"""Which runs in MLflow show a study: found by ids and tags, whatever people call them.

People delete, restore, rename and regroup runs while a study sleeps or trains. What they deleted stays
deleted; what we delete ourselves (a run that was made twice) is tagged first, so that the two can be told
apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.tracking.cursor import Cursor
from harness.tracking.mlflow_client import every_experiment, experiment_with, search_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

STUDY_ID = "harness.study_id"
TRIAL = "harness.trial"
ENSEMBLE = "harness.ensemble"
"""The tag with the number of the ensemble that a run shows; such a run has no tag `TRIAL`."""
PARENT = "mlflow.parentRunId"
SUPERSEDED = "harness.superseded"
"""The tag of a run that harness has deleted because another one shows the same."""


@dataclass(frozen=True, slots=True)
class StudyRuns:
    """What an MLflow store holds of a study."""

    experiment: Experiment | None
    """Where the study is, or where it would be; None if there is no such experiment yet."""
    study: Run | None = None
    """The study's own run, deleted or not."""
    trials: dict[int, Run] = field(default_factory=dict)
    """The run of each trial that has one, and under its `ensemble_key` that of each ensemble."""
    deleted: dict[int, Run] = field(default_factory=dict)
    """Trials, and ensembles, whose run lies in the bin, put there by somebody else."""
    needless: tuple[Run, ...] = ()
    """Runs that can be deleted because another one shows the same."""
    superseded: frozenset[str] = frozenset()
    """The ids of needless runs, and of those that harness has put in the bin before."""

    @property
    def known(self) -> bool:
        """Whether the store has anything of the study, be it in the bin."""
        return bool(self.study or self.trials or self.deleted or self.needless)

    def is_of(self, cursor: Cursor) -> bool:
        """Whether this is the store that the cursor speaks of."""
        if not self.known:
            return False
        if not cursor.run:  # written by a version that noted no run
            return True
        children = [*self.trials.values(), *self.deleted.values()]
        return any(run.data.tags.get(PARENT) == cursor.run for run in children) or (
            self.study is not None and self.study.info.run_id == cursor.run
        )


def ensemble_key(number: int) -> int:
    """What stands for an ensemble where runs are kept by the numbers of trials: a number below zero."""
    return -1 - number


def key_in_words(key: int) -> str:
    """Such as `trial 3` or `ensemble 0`, by a trial's number or an `ensemble_key`."""
    return f"trial {key}" if key >= 0 else f"ensemble {-1 - key}"


def run_key(tags: Mapping[str, str]) -> int | None:
    """Which trial or ensemble a run shows, by its tags: the trial's number, an `ensemble_key`, else None."""
    number, own = tags.get(TRIAL, ""), tags.get(ENSEMBLE, "")
    if own.isdecimal():
        return ensemble_key(int(own))
    return int(number) if number.isdecimal() else None


def is_of_study(tags: Mapping[str, str]) -> bool:
    """Whether a run is that of the study as a whole."""
    return TRIAL not in tags and ENSEMBLE not in tags


def is_deleted(thing: Any) -> bool:
    """Whether a run or an experiment lies in the bin."""
    info = getattr(thing, "info", thing)
    return bool(info.lifecycle_stage == "deleted")


def find_study(client: MlflowClient, name: str, study_id: str, cursor: Cursor) -> StudyRuns:
    """Everything of a study in this store; nothing is changed.

    Args:
        client: of the store.
        name: of the experiment that a new study goes to.
        study_id: of the study.
        cursor: where the study was seen last.
    """
    named = client.get_experiment_by_name(name)
    known = experiment_with(client, cursor.experiment) if cursor.experiment else None
    for experiment in (known, named):
        runs = _runs_in(client, [experiment.experiment_id], study_id) if experiment is not None else []
        if runs:
            return _sorted_out(experiment, runs, cursor)
    if cursor.seq:  # the study has been in some store, perhaps in this one under another name
        runs = _runs_in(client, every_experiment(client), study_id)
        if runs:
            where = Counter(run.info.experiment_id for run in runs).most_common(1)[0][0]
            here = [run for run in runs if run.info.experiment_id == where]
            return _sorted_out(experiment_with(client, where), here, cursor)
    return StudyRuns(named)


def _runs_in(client: MlflowClient, experiments: Sequence[str], study_id: str) -> list[Run]:
    return search_runs(client, experiments, f"tags.`{STUDY_ID}` = '{study_id}'", deleted=True)


def _sorted_out(experiment: Experiment | None, runs: Iterable[Run], cursor: Cursor) -> StudyRuns:
    """Which runs show what; a request whose answer was lost may have made one twice."""
    runs = list(runs)
    by_trial: dict[int | None, list[Run]] = {}
    for run in runs:
        key = run_key(run.data.tags)
        if key is not None or is_of_study(run.data.tags):
            by_trial.setdefault(key, []).append(run)
    children = Counter(run.data.tags.get(PARENT) for run in runs)

    def worth(run: Run) -> tuple[bool, bool, int, bool, int, int]:
        return (
            not is_deleted(run),
            run.info.run_id == cursor.run,
            children[run.info.run_id],
            run.info.status == "FINISHED",
            len(run.data.metrics),
            len(run.data.tags),
        )

    # What we deleted ourselves counts for nothing, even if it has been restored since.
    chosen = {
        trial: max(candidates, key=worth)
        for trial, found in by_trial.items()
        if (candidates := [run for run in found if SUPERSEDED not in run.data.tags])
    }
    kept = {run.info.run_id for run in chosen.values()}
    trials = {trial: run for trial, run in chosen.items() if trial is not None}
    needless = tuple(run for run in runs if not is_deleted(run) and run.info.run_id not in kept)
    return StudyRuns(
        experiment=experiment,
        study=chosen.get(None),
        trials={trial: run for trial, run in trials.items() if not is_deleted(run)},
        deleted={trial: run for trial, run in trials.items() if is_deleted(run)},
        needless=needless,
        superseded=frozenset(
            run.info.run_id for run in runs if run in needless or SUPERSEDED in run.data.tags
        ),
    )


def supersede(client: MlflowClient, runs: Iterable[Run]) -> None:
    """Delete runs, marked as deleted by us."""
    for run in runs:
        if is_deleted(run):
            client.restore_run(run.info.run_id)  # what lies in the bin cannot be marked
        client.set_tag(run.info.run_id, SUPERSEDED, "true")
        client.delete_run(run.info.run_id)


def gather(client: MlflowClient, found: StudyRuns) -> bool:
    """Remove what was made twice, restore the study's own run, and put its trials under it.

    Returns:
        Whether the study's run had been deleted.
    """
    supersede(client, found.needless)
    if found.study is None:
        return False
    own = found.study.info.run_id
    deleted = is_deleted(found.study)
    if deleted:
        client.restore_run(own)
    for run in found.trials.values():
        if run.data.tags.get(PARENT) != own:
            client.set_tag(run.info.run_id, PARENT, own)
    return deleted
