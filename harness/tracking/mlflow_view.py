"""The MLflow view of the event log: the study as a parent run, its trials as child runs.

Everything is looked up by the study's id before it is made, and metrics keep their original time and
step, so replaying any part of the log again changes nothing. The cursor only saves time.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.paths import StudyPaths, write_text
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
from harness.tracking.cursor import Cursor, cursor_text, read_cursor
from harness.tracking.mlflow_client import connect, search_models, search_runs
from harness.tracking.mlflow_content import (
    confusion_csv,
    dataset_input,
    flat,
    per_class_csv,
    study_tags,
    trial_tags,
)
from harness.tracking.mlflow_experiment import create_experiment, in_bin, leaves, restore_experiment
from harness.tracking.mlflow_runs import (
    STUDY_ID,
    TRIAL,
    StudyRuns,
    find_study,
    gather,
    is_deleted,
    remove_needless_models,
    study_models,
    supersede,
    without_their_model,
)
from harness.tracking.model_folder import write_model_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

MAX_METRICS = 900


@dataclass(slots=True)
class _Session:
    """What the view knows while nothing goes wrong; after an error it is found out anew."""

    study: StudyStarted
    experiment_id: str
    parent: str
    """The id of the study's own run; nothing until it is made."""
    runs: dict[int, str]
    """Run ids by trial."""
    done: int
    """The last record that is in MLflow for certain."""
    began_at: int
    """What `done` was at the beginning."""
    known: bool
    """MLflow had something of the study, so records after `done` may be there too."""
    left_out: set[int]
    """Trials whose runs somebody has deleted."""
    again: set[int | None]
    """Trials (None: the study's own run) that lack records up to `began_at`."""
    no_model: set[int]
    """Trials whose model somebody has deleted."""
    models: dict[int, str] = field(default_factory=dict)
    """Model ids by trial."""
    seen: set[tuple[int, int]] = field(default_factory=set)
    """Trials and epochs whose metrics are known: a repeated epoch is not sent again."""
    metrics: dict[str, list[Metric]] = field(default_factory=dict)
    """By run, waiting for the end of the batch."""
    ended: int = 0
    """Trials that have ended."""
    best: float | None = None

    def has(self, seq: int, trial: int | None) -> bool:
        """Whether MLflow has what this record says of a trial (None: of the study's own run)."""
        return seq <= self.done and trial not in self.again


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
        self._uri = uri
        self._experiment = experiment
        self._paths = paths
        self._note = note
        """Told what was deleted in MLflow, and what becomes of it."""
        self._restore = restore
        """Whether what somebody has deleted is made again, rather than left out."""
        self._client_made: MlflowClient | None = None
        self._cursor = read_cursor(paths.tracking_cursor)
        self._session: _Session | None = None
        self._failed = False
        """Some call has failed, so a lost answer may have made something twice."""
        self._told: tuple[frozenset[int], frozenset[int]] = frozenset(), frozenset()
        """Trials without a run, and those without a model, that have been told of."""

    def apply(self, records: Sequence[LogRecord]) -> None:
        """Write what these records say, in order, then note how far that is.

        The first record is the log's first one, and no record is left out. After an error the view begins anew:
        it must be given the log from its first record again, and finds in MLflow what it had made.
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
            event, seq = record.event, record.seq
            if isinstance(event, StudyStarted):
                self._open(seq, event)
                continue
            session = self._session
            if session is None:
                raise ValueError("a view is given the event log from its first record")
            if isinstance(event, StudyEnded):
                self._end_study(session, seq, event)
            elif isinstance(event, TrialEnded):
                self._end_trial(session, seq, event)
            elif event.trial in session.left_out:
                continue
            elif isinstance(event, TrialStarted):
                self._start_trial(session, seq, event)
            elif isinstance(event, SegmentStarted):
                self._start_segment(session, seq, event)
            elif isinstance(event, EpochEnded):
                self._epoch(session, seq, event)
            elif isinstance(event, ModelMeasured):
                self._measured(session, seq, event)
            elif isinstance(event, SegmentEnded):
                self._evaluated(session, seq, event)
            elif isinstance(event, ModelSaved):
                self._model(session, seq, event)
        if self._session is not None:
            self._flush(self._session)

    @property
    def _client(self) -> MlflowClient:
        if self._client_made is None:
            self._client_made = connect(self._uri)
        return self._client_made

    # ---- finding what is there ----------------------------------------------------------------------

    def _open(self, seq: int, event: StudyStarted) -> None:
        if self._session is None:
            self._session = self._look_up(event)
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
            self._adopt_children(session)
        if event.session == 1:
            # Parameters cannot change in MLflow: a later session's larger total stays out.
            self._batch(session.parent, params=flat(event.experiment))
            self._client.log_inputs(session.parent, [dataset_input(event.dataset)])
        else:
            self._client.update_run(session.parent, status="RUNNING")
        self._client.set_tag(session.parent, "harness.state", "running")

    def _look_up(self, event: StudyStarted) -> _Session:
        """Find the study's runs, and bring them into order."""
        client, cursor = self._client, self._cursor
        found = self._usable(find_study(client, self._experiment, event.study_id, cursor), event)
        if cursor.outdated and found.experiment is not None:
            found = self._supersede_all(found, event.study_id)
            cursor = Cursor()
        if found.experiment is None:
            experiment_id = create_experiment(client, self._uri, self._experiment)
        else:
            experiment_id = found.experiment.experiment_id
            if found.known and found.experiment.name != self._experiment:
                self._note(
                    f"MLflow: this study is in the experiment {found.experiment.name!r}, and stays there."
                )
        is_here = found.is_of(cursor)
        done = cursor.seq if is_here else 0
        if gather(client, found):
            self._note(
                "MLflow: the study's own run had been deleted; it was restored, so that its trials stay together."
            )
        again: set[int | None] = {trial for trial in cursor.left_out if trial in found.trials}
        if found.study is None or (cursor.run and found.study.info.run_id != cursor.run):
            again.add(None)
        runs = {trial: run.info.run_id for trial, run in found.trials.items()}
        if self._restore:
            for trial, run in found.deleted.items():
                client.restore_run(run.info.run_id)
                runs[trial] = run.info.run_id
                again.add(trial)
        session = _Session(
            study=event,
            experiment_id=experiment_id,
            parent=found.study.info.run_id if found.study else "",
            runs=runs,
            done=done,
            began_at=done,
            known=found.known,
            left_out=set() if self._restore else set(found.deleted),
            again=again,
            no_model=set() if self._restore else self._without_model(found, event.study_id),
        )
        if is_here and found.study is None:
            self._note("MLflow: the study's own run had been deleted for good; it was made again.")
        return session

    def _usable(self, found: StudyRuns, event: StudyStarted) -> StudyRuns:
        """The same, unless the experiment lies in the bin: then another one, or this one restored.

        Raises:
            StoreError: what to do about it.
        """
        if found.experiment is None or not is_deleted(found.experiment):
            return found
        if self._restore:
            restore_experiment(self._client, found.experiment)
            self._note(f"MLflow: the experiment {found.experiment.name!r} was restored.")
            return find_study(self._client, self._experiment, event.study_id, self._cursor)
        if leaves(found.experiment, self._experiment):
            named = self._client.get_experiment_by_name(self._experiment)
            if named is None or not is_deleted(named):
                return StudyRuns(named)
        raise in_bin(found.experiment, self._paths.folder.name)

    def _supersede_all(self, found: StudyRuns, study_id: str) -> StudyRuns:
        """Delete whatever there is of the study: it tells of records that were lost."""
        assert found.experiment is not None
        own = [found.study] if found.study else []
        supersede(self._client, [*found.trials.values(), *found.needless, *own])
        for models in study_models(self._client, found.experiment.experiment_id, study_id).values():
            for model in models:
                self._client.delete_logged_model(model.model_id)
        return StudyRuns(found.experiment, deleted=found.deleted)

    def _without_model(self, found: StudyRuns, study_id: str) -> set[int]:
        if found.experiment is None or not any(run.outputs for run in found.trials.values()):
            return set()
        models = study_models(self._client, found.experiment.experiment_id, study_id)
        return set(without_their_model(found.trials, models))

    def _adopt_children(self, session: _Session) -> None:
        """Put trials under the study's run, which has been made anew."""
        for run in session.runs.values():
            self._client.set_tag(run, "mlflow.parentRunId", session.parent)

    def reconcile(self) -> None:
        """Remove runs and models that were made twice because an answer was lost or came late."""
        assert self._session is not None, "records come first"
        study_id = self._session.study.study_id
        found = find_study(self._client, self._experiment, study_id, self._cursor)
        gather(self._client, found)
        if found.experiment is not None:
            models = study_models(self._client, found.experiment.experiment_id, study_id)
            remove_needless_models(self._client, found, models)
            if not self._restore:
                self._session.no_model |= set(without_their_model(found.trials, models))
        if not self._restore:
            self._session.left_out |= found.deleted.keys()
        self._tell_left_out(self._session)

    def _tell_left_out(self, session: _Session) -> None:
        runs, models = frozenset(session.left_out), frozenset(session.no_model - session.left_out)
        if (runs, models) == self._told:
            return
        self._told = runs, models
        what = [
            f"the {noun} of {_trials(trials)}"
            for noun, trials in (
                ("run" + "s" * (len(runs) > 1), runs),
                ("model" + "s" * (len(models) > 1), models),
            )
            if trials
        ]
        several = len(runs) + len(models) > 1
        self._note(
            f"MLflow: {' and '.join(what)} {'were' if several else 'was'} deleted there and {'are' if several else 'is'} "
            f"left out; `harness sync {self._paths.folder.name} --restore` makes {'them' if several else 'it'} again."
        )

    def _note_progress(self, session: _Session, seq: int) -> None:
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

    # ---- writing what records say -------------------------------------------------------------------

    def _start_trial(self, session: _Session, seq: int, event: TrialStarted) -> None:
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

    def _start_segment(self, session: _Session, seq: int, event: SegmentStarted) -> None:
        """A run that an interruption had closed is running again."""
        if session.has(seq, event.trial) or event.attempt == 1:
            return
        run = session.runs[event.trial]
        self._client.update_run(run, status="RUNNING")
        if event.microbatches > 1:
            self._client.set_tag(run, "harness.microbatches", str(event.microbatches))

    def _epoch(self, session: _Session, seq: int, event: EpochEnded) -> None:
        if (event.trial, event.epoch) in session.seen:
            return
        session.seen.add((event.trial, event.epoch))
        if not session.has(seq, event.trial):
            self._queue(session, session.runs[event.trial], event.metrics, event.time, event.epoch)

    def _queue(self, session: _Session, run: str, metrics: dict[str, float], time: int, step: int) -> None:
        from mlflow.entities import Metric

        for name, value in metrics.items():
            if math.isfinite(value):
                session.metrics.setdefault(run, []).append(Metric(name, value, time, step))
            else:
                # MLflow would store 1.8e308 for infinity; the number itself stays in the event log.
                self._client.set_tag(run, f"harness.non_finite.{name}", f"{value} at step {step}")

    def _measured(self, session: _Session, seq: int, event: ModelMeasured) -> None:
        if not session.has(seq, event.trial):
            self._queue(session, session.runs[event.trial], event.measured, event.time, 0)

    def _evaluated(self, session: _Session, seq: int, event: SegmentEnded) -> None:
        if session.has(seq, event.trial):
            return
        run = session.runs[event.trial]
        for evaluation in event.evaluations:
            prefix = "test" if evaluation.split == "test" else "final_val"
            named = {f"{prefix}_{name}": value for name, value in evaluation.metrics.items()}
            self._queue(session, run, named, event.time, event.epoch)
            folder = f"evaluation/{evaluation.split}"
            self._client.log_text(run, per_class_csv(evaluation), f"{folder}_per_class.csv")
            self._client.log_text(run, confusion_csv(evaluation), f"{folder}_confusion.csv")

    def _model(self, session: _Session, seq: int, event: ModelSaved) -> None:
        if event.trial in session.no_model or self._has_model(session, seq, event):
            return
        from mlflow.entities import LoggedModelOutput

        run = session.runs[event.trial]
        model_id = session.models.get(event.trial)
        if model_id is None and session.known:
            model_id = self._existing_model(session, run)
        outputs = None
        if model_id is not None:
            # A segment that was cut off after it had told of its model has been repeated and has written
            # the file anew, with other bytes: Keras puts the time into it.
            self._client.set_logged_model_tags(model_id, {"sha256": event.sha256})
            outputs = self._client.get_run(run).outputs
        else:
            model_id = self._client.create_logged_model(
                session.experiment_id,
                name=f"{session.study.study}-trial-{event.trial:05d}".replace(".", "-"),
                source_run_id=run,
                tags={STUDY_ID: session.study.study_id, TRIAL: str(event.trial), "sha256": event.sha256},
                params={"parameters": str(event.parameters), "epoch": str(event.epoch)},
                model_type="keras",
            ).model_id
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "model"
            target.mkdir()
            write_model_folder(
                target, self._paths.folder / event.file, session.study.dataset, event, run, model_id
            )
            self._client.log_model_artifacts(model_id, str(target))
        self._client.finalize_logged_model(model_id, "READY")
        if outputs is None or model_id not in [known.model_id for known in outputs.model_outputs]:
            self._client.log_outputs(run, [LoggedModelOutput(model_id, step=event.epoch)])
        session.models[event.trial] = model_id
        self._client.set_tag(run, "harness.parameters", str(event.parameters))

    def _has_model(self, session: _Session, seq: int, event: ModelSaved) -> bool:
        if not session.has(seq, event.trial):
            return False
        # Restoring, a model that somebody has deleted is made again from its file.
        return not self._restore or self._existing_model(session, session.runs[event.trial]) is not None

    def _existing_model(self, session: _Session, run: str) -> str | None:
        found = search_models(self._client, session.experiment_id, f"source_run_id = '{run}'")
        found.sort(key=lambda model: str(model.status) != "READY")
        return found[0].model_id if found else None

    def _end_trial(self, session: _Session, seq: int, event: TrialEnded) -> None:
        better = max if session.study.experiment["objective"]["direction"] == "maximize" else min
        session.ended += 1
        if event.state == "complete" and event.score is not None:
            session.best = event.score if session.best is None else better(session.best, event.score)
        if event.trial not in session.left_out and not session.has(seq, event.trial):
            self._close_run(session, event)
        if session.best is None or session.has(seq, None):
            return
        self._queue(session, session.parent, {"best_score": session.best}, event.time, session.ended)
        if event.score == session.best and event.state == "complete":
            self._batch(
                session.parent,
                tags={"harness.best_trial": str(event.trial), "harness.best_score": str(event.score)},
            )

    def _close_run(self, session: _Session, event: TrialEnded) -> None:
        from mlflow.entities import Metric

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

    def _end_study(self, session: _Session, seq: int, event: StudyEnded) -> None:
        again = {session.runs[trial] for trial in session.again if trial in session.runs}
        whole = not session.has(seq, None)
        if not whole and not again:
            return
        self._flush(session)
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
        if self._failed:
            self.reconcile()

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

    def _flush(self, session: _Session) -> None:
        for run, metrics in session.metrics.items():
            for start in range(0, len(metrics), MAX_METRICS):
                self._client.log_batch(run, metrics=metrics[start : start + MAX_METRICS], synchronous=True)
        session.metrics.clear()


def _trials(numbers: frozenset[int]) -> str:
    """`trial 3`, or `trials 0 to 4, 7 and 9`."""
    stretches: list[list[int]] = []
    for number in sorted(numbers):
        if stretches and number == stretches[-1][-1] + 1:
            stretches[-1].append(number)
        else:
            stretches.append([number])
    parts = [
        part
        for stretch in stretches
        for part in (
            [f"{stretch[0]} to {stretch[-1]}"] if len(stretch) > 2 else [str(number) for number in stretch]
        )
    ]
    named = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    return f"trial{'s' * (len(numbers) > 1)} {named}"
