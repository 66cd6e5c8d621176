"""The MLflow view of the event log: the study as a parent run, its trials as child runs.

Everything is looked up by the study's id before it is made, and metrics keep their original time and
step, so replaying any part of the log again changes nothing. The cursor only saves time.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StudyError
from harness.paths import StudyPaths, write_text
from harness.records import (
    Dataset,
    EpochEnded,
    Evaluation,
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
from harness.tracking.model_folder import write_model_folder
from harness.tracking.sqlite_file import create_mlflow_tables, ensure_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Metric, Param, Run, RunTag

STUDY_ID = "harness.study_id"
TRIAL = "harness.trial"
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Opens the experiment in MLflow's view of training runs rather than in that of language models."""
MAX_METRICS = 900
PAGE = 1000

# Its own retries block for minutes; the follower has better ones.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# Standard output is for data.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


class MlflowView:
    """Brings one study in an MLflow store up to date with the event log."""

    def __init__(self, uri: str, experiment: str, paths: StudyPaths) -> None:
        self._uri = uri
        self._experiment = experiment
        self._paths = paths
        self._client_made: MlflowClient | None = None
        self._experiment_id = ""
        self._study: StudyStarted | None = None
        self._parent = ""
        self._runs: dict[int, str] = {}
        """Run ids by trial."""
        self._seen: set[tuple[int, int]] = set()
        """Trials and epochs whose metrics are known: a repeated epoch is not sent again."""
        self._added: list[tuple[int, int]] = []
        """What the current batch added to it."""
        self._metrics: dict[str, list[Metric]] = {}
        """By run, waiting for the end of the batch."""
        self._models: dict[int, str] = {}
        """Model ids by trial."""
        self._ended = 0
        """Trials that have ended."""
        self._best: float | None = None
        self._done, self._outdated = _read_cursor(paths.tracking_cursor)
        """The last record that is in MLflow for certain; whether MLflow tells of records that were lost."""
        self._in_doubt = False
        """The last batch failed, nobody knows where."""
        self._was_in_doubt = False
        """Some batch did."""
        self._uncertain_until = 0
        """Records up to here may or may not be in MLflow already."""

    def apply(self, records: Sequence[LogRecord]) -> None:
        """Write what these records say, in order, then note how far that is.

        After an error the same records may be given again: what they say of other runs is forgotten,
        and what they had already made in MLflow is found there.
        """
        before = self._ended, self._best
        self._added.clear()
        try:
            self._apply(records)
        except BaseException:
            self._ended, self._best = before
            self._seen.difference_update(self._added)
            self._metrics.clear()
            self._uncertain_until = max(self._uncertain_until, records[-1].seq)
            self._in_doubt = self._was_in_doubt = True
            raise
        if records and records[-1].seq > self._done:
            self._done = records[-1].seq
            write_text(self._paths.tracking_cursor, json.dumps({"seq": self._done}))

    def _apply(self, records: Sequence[LogRecord]) -> None:
        if self._in_doubt and self._study is not None and self._experiment_id:
            self._look_up(self._study.study_id)  # a run may have been made although the answer was lost
        self._in_doubt = False
        for record in records:
            event = record.event
            if isinstance(event, StudyStarted):
                self._open(record.seq, event)
            elif isinstance(event, TrialStarted):
                self._start_trial(record.seq, event)
            elif isinstance(event, SegmentStarted):
                self._start_segment(record.seq, event)
            elif isinstance(event, EpochEnded):
                self._epoch(record.seq, event)
            elif isinstance(event, ModelMeasured):
                self._measured(record.seq, event)
            elif isinstance(event, SegmentEnded):
                self._evaluated(record.seq, event)
            elif isinstance(event, ModelSaved):
                self._model(record.seq, event)
            elif isinstance(event, TrialEnded):
                self._end_trial(record.seq, event)
            elif isinstance(event, StudyEnded):
                self._end_study(record.seq, event)
        self._flush()

    @property
    def _client(self) -> MlflowClient:
        if self._client_made is None:
            from mlflow import MlflowClient

            # Its schema migrations are no news to somebody who watches a sweep.
            logging.getLogger("mlflow").setLevel(logging.WARNING)
            logging.getLogger("alembic").setLevel(logging.WARNING)
            # A database that fails is told by the follower, in a sentence and without a traceback.
            logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
            if not self._uri.startswith("http"):
                from mlflow.store.db import utils

                utils.MAX_RETRY_COUNT = 1  # these retries block for minutes, too
            ensure_store(self._uri, create_mlflow_tables)
            self._client_made = MlflowClient(tracking_uri=self._uri)
        return self._client_made

    def _open(self, seq: int, event: StudyStarted) -> None:
        self._study = event
        if not self._experiment_id:
            # What a crash may have left between MLflow's commit and the cursor's write.
            known = self._look_up(event.study_id)
            self._uncertain_until = 2**62 if known else seq
            if not known:
                self._done = 0  # an empty server, whatever the cursor says of another one
        if seq <= self._done:
            return
        if not self._parent:
            self._parent = self._client.create_run(
                self._experiment_id,
                start_time=event.time,
                run_name=event.study,
                tags=self._study_tags(event),
            ).info.run_id
        if event.session == 1:
            # Parameters cannot change in MLflow: a later session's larger total stays out.
            self._batch(self._parent, params=_flat(event.experiment))
            self._client.log_inputs(self._parent, [_dataset_input(event.dataset)])
        else:
            self._client.update_run(self._parent, status="RUNNING")
        self._client.set_tag(self._parent, "harness.state", "running")

    def _look_up(self, study_id: str) -> bool:
        """Find the study's runs; whether there are any."""
        from mlflow.entities import ViewType

        found = self._client.get_experiment_by_name(self._experiment)
        own = found.experiment_id if found else self._client.create_experiment(self._experiment, tags=KIND)
        runs = self._search(own, f"tags.`{STUDY_ID}` = '{study_id}'", ViewType.ACTIVE_ONLY)
        if self._outdated:
            for run in runs:
                self._client.delete_run(run.info.run_id)
            self._remove_models(own, study_id)
            self._outdated, runs = False, []
        self._adopt(runs)
        self._experiment_id = own
        return bool(runs)

    def _adopt(self, runs: Sequence[Run]) -> None:
        """Remember which runs show what; a request whose answer was lost may have made one twice."""
        by_trial: dict[int | None, list[Run]] = {}
        for run in runs:
            number = run.data.tags.get(TRIAL)
            by_trial.setdefault(None if number is None else int(number), []).append(run)
        children = Counter(run.data.tags.get("mlflow.parentRunId") for run in runs)
        for trial, candidates in by_trial.items():
            known = self._parent if trial is None else self._runs.get(trial)
            chosen = max(
                candidates,
                key=lambda run: (
                    run.info.run_id == known,
                    children[run.info.run_id],
                    run.info.status == "FINISHED",
                    len(run.data.metrics),
                    len(run.data.tags),
                ),
            ).info.run_id
            if trial is None:
                self._parent = chosen
            else:
                self._runs[trial] = chosen
            for run in candidates:
                if run.info.run_id != chosen:
                    self._client.delete_run(run.info.run_id)

    def reconcile(self) -> None:
        """Remove runs and models that were made twice because an answer was lost or came late."""
        assert self._study is not None
        self._look_up(self._study.study_id)
        self._remove_models(self._experiment_id, self._study.study_id)

    def _remove_models(self, experiment_id: str, study_id: str) -> None:
        """Remove the study's models that are not the one of a run that counts."""
        by_run: dict[str, list[LoggedModel]] = {}
        for model in study_models(self._client, experiment_id, study_id):
            by_run.setdefault(str(model.source_run_id), []).append(model)
        own = set(self._runs.values())
        for run, models in by_run.items():
            ready = [model for model in models if str(model.status) == "READY"] if run in own else []
            for model in models:
                if model not in ready[:1]:
                    self._client.delete_logged_model(model.model_id)

    def _study_tags(self, event: StudyStarted) -> dict[str, str]:
        tags = {
            STUDY_ID: event.study_id,
            "harness.study": event.study,
            "harness.seed": str(event.seed),
            "harness.dataset": event.dataset.name,
            "harness.dataset_digest": event.dataset.digest,
            "harness.host": str(event.host.get("name", "")),
            "mlflow.note.content": _note(event),
            **{f"harness.version.{name}": version for name, version in event.versions.items()},
        }
        if event.git_commit:
            tags["mlflow.source.git.commit"] = event.git_commit
        return tags

    def _start_trial(self, seq: int, event: TrialStarted) -> None:
        if seq <= self._done:
            return
        assert self._study is not None
        if event.trial not in self._runs:
            tags = {
                "mlflow.parentRunId": self._parent,
                STUDY_ID: self._study.study_id,
                TRIAL: str(event.trial),
                "harness.study": self._study.study,
                "harness.seed": str(event.seed),
                "harness.generation": str(event.generation),
                "harness.state": "running",
                "harness.dataset_digest": self._study.dataset.digest,
            }
            if self._study.git_commit:
                tags["mlflow.source.git.commit"] = self._study.git_commit
            self._runs[event.trial] = self._client.create_run(
                self._experiment_id,
                start_time=event.time,
                run_name=f"trial-{event.trial:05d}",
                tags=tags,
            ).info.run_id
        run = self._runs[event.trial]
        self._batch(run, params={name: str(value) for name, value in event.params.items()})
        self._client.log_inputs(run, [_dataset_input(self._study.dataset)])

    def _start_segment(self, seq: int, event: SegmentStarted) -> None:
        """A run that an interruption had closed is running again."""
        if seq <= self._done or event.attempt == 1:
            return
        self._client.update_run(self._runs[event.trial], status="RUNNING")
        if event.microbatches > 1:
            self._client.set_tag(self._runs[event.trial], "harness.microbatches", str(event.microbatches))

    def _epoch(self, seq: int, event: EpochEnded) -> None:
        if (event.trial, event.epoch) in self._seen:
            return
        self._seen.add((event.trial, event.epoch))
        self._added.append((event.trial, event.epoch))
        if seq > self._done:
            self._queue(self._runs[event.trial], event.metrics, event.time, event.epoch)

    def _queue(self, run: str, metrics: dict[str, float], time: int, step: int) -> None:
        from mlflow.entities import Metric

        for name, value in metrics.items():
            if math.isfinite(value):
                self._metrics.setdefault(run, []).append(Metric(name, value, time, step))
            else:
                # MLflow would store 1.8e308 for infinity; the number itself stays in the event log.
                self._client.set_tag(run, f"harness.non_finite.{name}", f"{value} at step {step}")

    def _measured(self, seq: int, event: ModelMeasured) -> None:
        if seq > self._done:
            self._queue(self._runs[event.trial], event.measured, event.time, 0)

    def _evaluated(self, seq: int, event: SegmentEnded) -> None:
        if seq <= self._done:
            return
        run = self._runs[event.trial]
        for evaluation in event.evaluations:
            prefix = "test" if evaluation.split == "test" else "final_val"
            named = {f"{prefix}_{name}": value for name, value in evaluation.metrics.items()}
            self._queue(run, named, event.time, event.epoch)
            folder = f"evaluation/{evaluation.split}"
            self._client.log_text(run, _per_class_csv(evaluation), f"{folder}_per_class.csv")
            self._client.log_text(run, _confusion_csv(evaluation), f"{folder}_confusion.csv")

    def _model(self, seq: int, event: ModelSaved) -> None:
        if seq <= self._done:
            return
        from mlflow.entities import LoggedModelOutput

        assert self._study is not None
        run = self._runs[event.trial]
        name = f"{self._study.study}-trial-{event.trial:05d}".replace(".", "-")
        model_id = self._models.get(event.trial)
        if model_id is None and seq <= self._uncertain_until:
            model_id = self._existing_model(name, run)
        outputs = None
        if model_id is not None:
            # A segment that was cut off after it had told of its model has been repeated and has written
            # the file anew, with other bytes: Keras puts the time into it.
            self._client.set_logged_model_tags(model_id, {"sha256": event.sha256})
            outputs = self._client.get_run(run).outputs
        else:
            model_id = self._client.create_logged_model(
                self._experiment_id,
                name=name,
                source_run_id=run,
                tags={STUDY_ID: self._study.study_id, TRIAL: str(event.trial), "sha256": event.sha256},
                params={"parameters": str(event.parameters), "epoch": str(event.epoch)},
                model_type="keras",
            ).model_id
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "model"
            target.mkdir()
            write_model_folder(
                target, self._paths.folder / event.file, self._study.dataset, event, run, model_id
            )
            self._client.log_model_artifacts(model_id, str(target))
        self._client.finalize_logged_model(model_id, "READY")
        if outputs is None or model_id not in [known.model_id for known in outputs.model_outputs]:
            self._client.log_outputs(run, [LoggedModelOutput(model_id, step=event.epoch)])
        self._models[event.trial] = model_id
        self._client.set_tag(run, "harness.parameters", str(event.parameters))

    def _existing_model(self, name: str, run: str) -> str | None:
        found = self._client.search_logged_models([self._experiment_id], f"name = '{name}'")
        for model in found:
            if model.source_run_id == run:
                identity: str = model.model_id
                return identity
        return None

    def _end_trial(self, seq: int, event: TrialEnded) -> None:
        assert self._study is not None
        self._ended += 1
        better = max if self._study.experiment["objective"]["direction"] == "maximize" else min
        if event.state == "complete" and event.score is not None:
            self._best = event.score if self._best is None else better(self._best, event.score)
        if seq <= self._done:
            return
        from mlflow.entities import Metric

        run = self._runs[event.trial]
        tags = {"harness.state": event.state, "harness.reason": event.reason}
        if event.failure:
            tags["harness.failure"] = event.failure
        if event.traceback:
            self._client.log_text(run, event.traceback, "failure/traceback.txt")
        if event.score is not None:
            model_id = self._models.get(event.trial)
            score = Metric("score", event.score, event.time, event.epoch, model_id=model_id)
            self._metrics.setdefault(run, []).append(score)
        self._batch(run, tags=tags)
        self._client.set_terminated(run, "FAILED" if event.state == "failed" else "FINISHED", event.time)
        if self._best is not None:
            self._queue(self._parent, {"best_score": self._best}, event.time, self._ended)
            if event.score == self._best and event.state == "complete":
                self._batch(
                    self._parent,
                    tags={"harness.best_trial": str(event.trial), "harness.best_score": str(event.score)},
                )

    def _end_study(self, seq: int, event: StudyEnded) -> None:
        if seq <= self._done:
            return
        self._flush()
        state = "complete" if event.complete else "interrupted"
        self._batch(self._parent, tags={"harness.state": state, "harness.reason": event.reason})
        if not event.complete:
            running = self._search(
                self._experiment_id,
                f"tags.`{STUDY_ID}` = '{self._study.study_id if self._study else ''}' "
                "AND attributes.status = 'RUNNING'",
            )
            for run in running:
                if run.info.run_id != self._parent:
                    self._batch(run.info.run_id, tags={"harness.state": "interrupted"})
                    self._client.set_terminated(run.info.run_id, "KILLED", event.time)
        self._client.set_terminated(self._parent, "FINISHED" if event.complete else "KILLED", event.time)
        if self._was_in_doubt:
            self.reconcile()

    def _search(self, experiment_id: str, filter_string: str, view_type: int = 1) -> list[Any]:
        runs: list[Any] = []
        token: str | None = None
        while True:
            page = self._client.search_runs([experiment_id], filter_string, view_type, PAGE, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

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

    def _flush(self) -> None:
        for run, metrics in self._metrics.items():
            for start in range(0, len(metrics), MAX_METRICS):
                self._client.log_batch(run, metrics=metrics[start : start + MAX_METRICS], synchronous=True)
        self._metrics.clear()


def study_models(client: MlflowClient, experiment_id: str, study_id: str) -> list[LoggedModel]:
    """Every model of a study, whatever its state."""
    models: list[LoggedModel] = []
    token: str | None = None
    while True:
        page = client.search_logged_models(
            [experiment_id], f"tags.`{STUDY_ID}` = '{study_id}'", page_token=token
        )
        models += page
        token = page.token
        if not token:
            return models


def _read_cursor(file: Path) -> tuple[int, bool]:
    """The last record that is in MLflow for certain, and whether its runs must be made again."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return int(values["seq"]), bool(values.get("outdated", False))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0, False


def make_again(paths: StudyPaths) -> None:
    """Let the next view make the study's runs anew: records that they may tell of were lost.

    Values cannot be taken back from a run in MLflow, only whole runs can.
    """
    write_text(paths.tracking_cursor, json.dumps({"seq": 0, "outdated": True}))


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested keys joined by dots; lists and the space's entries as JSON."""
    found: dict[str, str] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and not prefix:
            found |= _flat(value, f"{path}.")
        else:
            found[path] = value if isinstance(value, str) else json.dumps(value)
    return found


def _dataset_input(dataset: Dataset) -> Any:
    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput, InputTag

    height, width, channels = dataset.image_shape
    profile = {"images": dataset.counts, "training_images_by_class": dataset.class_counts}
    schema = {
        "mlflow_tensorspec": {
            "features": json.dumps(
                [
                    {
                        "type": "tensor",
                        "tensor-spec": {"dtype": "uint8", "shape": [-1, height, width, channels]},
                    }
                ]
            ),
            "targets": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "int32", "shape": [-1]}}]),
        }
    }
    return DatasetInput(
        MlflowDataset(
            name=dataset.name,
            digest=dataset.digest[:36],
            source_type="local",
            source=json.dumps({"uri": dataset.name}),
            schema=json.dumps(schema),
            profile=json.dumps(profile)[:60_000],
        ),
        [InputTag("mlflow.data.context", "training")],
    )


def _note(event: StudyStarted) -> str:
    data = event.dataset
    height, width, channels = data.image_shape
    counts = ", ".join(f"{count:,} {part}" for part, count in data.counts.items())
    description = event.experiment.get("description") or ""
    return (
        f"**{event.study}** {description}\n\n"
        f"- data: `{data.name}`, {counts} images of {height}×{width}×{channels}, "
        f"{len(data.classes)} classes\n"
        f"- objective: `{event.experiment['objective']['metric']}`, "
        f"{event.experiment['objective']['direction']}\n"
        f"- see `harness leaderboard {event.study}` and `harness export --study {event.study}`\n"
    )


def _per_class_csv(evaluation: Evaluation) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["class", "precision", "recall", "f1", "support"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(evaluation.per_class)
    return text.getvalue()


def _confusion_csv(evaluation: Evaluation) -> str:
    """Rows are true classes, columns predicted ones."""
    names = [row["class"] for row in evaluation.per_class]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true \\ predicted", *names])
    writer.writerows([name, *row] for name, row in zip(names, evaluation.confusion, strict=True))
    return text.getvalue()


def experiment_name(name: str) -> str:
    """The MLflow experiment: `MLFLOW_EXPERIMENT_NAME`, else the experiment file's name."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or name


def trial_of_run(uri: str, run_id: str) -> tuple[str, int]:
    """The study and trial that an MLflow run shows.

    Raises:
        StudyError: there is no such run, or it is not a trial of a study.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        tags = MlflowClient(tracking_uri=uri).get_run(run_id).data.tags
    except MlflowException as error:
        raise StudyError(f"MLflow has no run {run_id!r}.") from error
    if TRIAL not in tags:
        raise StudyError(f"The MLflow run {run_id} is not a trial; choose one of its child runs.")
    return tags["harness.study"], int(tags[TRIAL])
