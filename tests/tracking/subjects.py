"""What the suite of failures has to know of each tracker: its calls, what its store holds, what people do.

A tracker of the tests' own, which copies the log to a file of JSON lines, takes part beside the real ones.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from optuna.storages import RDBStorage

from harness.paths import optuna_storage, tracking_uri
from harness.records import LogRecord
from harness.tracking.mlflow_runs import PARENT, SUPERSEDED, TRIAL
from harness.tracking.stores import MLFLOW, OPTUNA
from harness.tracking.tracker import Audit, Findings, TrackedStudy, TrackerKind

EXPERIMENT = "pets"


@dataclass(frozen=True)
class Deletion:
    """Something that people can do to the store."""

    act: Callable[[], None]
    gone: frozenset[int] = frozenset()
    """Trials whose run is left out from then on, until it is restored."""
    no_model: frozenset[int] = frozenset()
    """Trials whose model is."""
    names: dict[int | None, str] = field(default_factory=dict)
    """What runs are called from then on."""
    said: str = ""
    """What a person is told."""
    refused: bool = False
    """Nothing can be written until it is restored."""


@dataclass(frozen=True)
class Subject:
    """One tracker under test; its store is the default one of the working directory."""

    target: type
    """Its public methods are the calls to the store."""
    content: Callable[[], dict[Any, Any]]
    """All that the store holds of the study, by trial (None: the study itself), to be compared."""
    deletions: dict[str, Deletion] = field(default_factory=dict)


@dataclass
class Calls:
    """Counts calls to a store, lets one of them fail, or all of them wait."""

    seen: list[str] = field(default_factory=list)
    fail_at: int | None = None
    """Which call, from 0."""
    after: bool = False
    """The call takes effect, but its answer is lost."""
    answers: threading.Event | None = None
    """No call returns before it is set."""
    depth: int = 0


@contextmanager
def watched(target: type, calls: Calls) -> Iterator[None]:
    """Have every public method of a class counted and fail if asked to; calls within calls do not count."""

    def watch(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *arguments: Any, **named: Any) -> Any:
            if calls.depth:
                return real(self, *arguments, **named)
            number = len(calls.seen)
            calls.seen.append(name)
            if calls.answers is not None:
                calls.answers.wait()
            if number == calls.fail_at and not calls.after:
                raise ConnectionError("the store at http://ann:s3cret@store is away")
            calls.depth += 1
            try:
                found = real(self, *arguments, **named)
            finally:
                calls.depth -= 1
            if number == calls.fail_at:
                raise ConnectionError("the answer was lost")
            return found

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in dir(target):
            real = getattr(target, name)
            if (
                not name.startswith("_")
                and callable(real)
                and not isinstance(vars(target).get(name), staticmethod)
            ):
                patch.setattr(target, name, watch(name, real))
        yield


# ---- MLflow ----------------------------------------------------------------------------------------------


def client() -> MlflowClient:
    return MlflowClient(tracking_uri())


def experiment_id() -> str:
    (found,) = [one for one in client().search_experiments(view_type=3) if one.name != "Default"]
    return found.experiment_id


def run_of(trial: int | None, *, deleted: bool = False) -> Any:
    """The one run of a trial (None: of the study)."""
    runs = client().search_runs([experiment_id()], run_view_type=2 if deleted else 1)
    number = None if trial is None else str(trial)
    (found,) = [run for run in runs if run.data.tags.get(TRIAL) == number and SUPERSEDED not in run.data.tags]
    return found


def mlflow_content() -> dict[Any, Any]:
    mine, own = client(), experiment_id()
    runs = mine.search_runs([own])
    models = mine.search_logged_models([own])
    (study,) = [run.info.run_id for run in runs if TRIAL not in run.data.tags]
    digests = {model.model_id: model.tags["sha256"] for model in models}
    found: dict[Any, Any] = {}
    for run in runs:
        info, data = run.info, run.data
        number = int(data.tags[TRIAL]) if TRIAL in data.tags else None
        assert number not in found, f"trial {number} has two runs"
        made = [model for model in models if model.source_run_id == info.run_id]
        outputs = [output.model_id for output in run.outputs.model_outputs] if run.outputs else []
        assert {model.model_id for model in made} <= set(outputs)
        assert len(outputs) == len(set(outputs)), f"trial {number} shows a model twice"
        found[number] = {
            "name": info.run_name,
            "status": info.status,
            "times": (info.start_time, info.end_time),
            "params": data.params,
            "tags": {
                name: value for name, value in data.tags.items() if name not in (PARENT, "mlflow.runName")
            },
            "parent": data.tags.get(PARENT) == study,
            "metrics": {
                name: sorted(
                    (m.step, m.timestamp, m.value) for m in mine.get_metric_history(info.run_id, name)
                )
                for name in data.metrics
            },
            "inputs": [entry.dataset.name for entry in run.inputs.dataset_inputs],
            "models": [
                (
                    str(model.status),
                    model.tags["sha256"],
                    sorted((m.key, m.step, m.timestamp, m.value) for m in model.metrics or ()),
                )
                for model in made
            ],
            "shows": [digests[model_id] for model_id in outputs if model_id in digests],
            "files": sorted(file.name for file in Path(info.artifact_uri).rglob("*.*")),
        }
    assert {model.source_run_id for model in models} <= {run.info.run_id for run in runs} | {
        run.info.run_id for run in mine.search_runs([own], run_view_type=2) if SUPERSEDED not in run.data.tags
    }, "a model belongs to nothing"
    return found


def delete_run(trial: int | None) -> None:
    client().delete_run(run_of(trial).info.run_id)


def delete_for_good(trial: int | None) -> None:
    """As `mlflow gc` does, some time after the delete button."""
    run = run_of(trial).info.run_id
    client().delete_run(run)
    client()._tracking_client.store._hard_delete_run(run)


def delete_model(trial: int) -> None:
    run = run_of(trial).info.run_id
    for model in client().search_logged_models([experiment_id()]):
        if model.source_run_id == run:
            client().delete_logged_model(model.model_id)


def move_away(trial: int) -> None:
    client().set_tag(run_of(trial).info.run_id, PARENT, run_of(2).info.run_id)


MLFLOW_DELETIONS = {
    "a run that goes on": Deletion(
        lambda: delete_run(1), gone=frozenset({1}), said="the run of trial 1 was deleted"
    ),
    "a run that has ended": Deletion(
        lambda: delete_run(0), gone=frozenset({0}), said="the run of trial 0 was"
    ),
    "a run, for good": Deletion(
        lambda: delete_for_good(1), gone=frozenset({1}), said="the run of trial 1 was deleted"
    ),
    "all runs": Deletion(
        lambda: [delete_run(trial) for trial in (0, 1, 2, None)] and None,
        gone=frozenset({0, 1, 2}),
        said="the runs of trials 0 to 2 were deleted",
    ),
    "a model": Deletion(
        lambda: delete_model(0), no_model=frozenset({0}), said="the model of trial 0 was deleted"
    ),
    "the study's run": Deletion(lambda: delete_run(None), said="it was restored"),
    "the study's run, for good": Deletion(lambda: delete_for_good(None), said="it is made again"),
    "the experiment": Deletion(
        lambda: client().delete_experiment(experiment_id()), said="lies in MLflow's bin", refused=True
    ),
    "the experiment's name": Deletion(
        lambda: client().rename_experiment(experiment_id(), "animals"), said="'animals', and stays there"
    ),
    "names of runs": Deletion(
        lambda: [client().update_run(run_of(trial).info.run_id, name="mine") for trial in (None, 1)] and None,
        names={None: "mine", 1: "mine"},
    ),
    "a run's place": Deletion(lambda: move_away(1)),
}

# ---- Optuna ----------------------------------------------------------------------------------------------


def optuna_content() -> dict[Any, Any]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found: dict[Any, Any] = {}
    for summary in optuna.get_all_study_summaries(optuna_storage()):
        study = optuna.load_study(study_name=summary.study_name, storage=optuna_storage())
        found[None] = [*found.get(None, []), (summary.study_name, study.user_attrs, study.directions)]
        for trial in study.trials:
            number = trial.user_attrs["trial"]
            assert number not in found, f"trial {number} is there twice"
            found[number] = {
                "state": trial.state.name,
                "params": trial.params,
                "values": trial.values,
                "attributes": trial.user_attrs,
                "reported": trial.intermediate_values,
                "started": trial.datetime_start,
            }
    return found


def delete_study() -> None:
    (summary,) = optuna.get_all_study_summaries(optuna_storage())
    optuna.delete_study(study_name=summary.study_name, storage=optuna_storage())


# ---- A file of JSON lines --------------------------------------------------------------------------------


class LinesFile:
    """A store that is a file in the study's folder."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def lines(self) -> list[dict[str, Any]]:
        if not self._file.exists():
            return []
        return [json.loads(line) for line in self._file.read_text().splitlines()]

    def append(self, line: dict[str, Any]) -> None:
        with self._file.open("a") as file:
            file.write(f"{json.dumps(line)}\n")


class LinesTracker:
    """Copies every record to a file of JSON lines; the file itself says which ones it has."""

    def __init__(self, study: TrackedStudy) -> None:
        self._store = LinesFile(study.paths.folder / "copy.jsonl")

    def apply(self, records: Sequence[LogRecord]) -> None:
        there = {line["seq"] for line in self._store.lines()}
        if not set(range(1, records[0].seq)) <= there:
            raise LookupError("somebody has deleted lines of the copy")
        for record in records:
            if record.seq not in there:
                self._store.append({"seq": record.seq, "event": asdict(record.event)})

    def reconcile(self) -> None:
        """No line is there twice: `apply` has looked before."""

    def audit(self, records: Sequence[LogRecord]) -> Audit:
        expected = [{"seq": one.seq, "event": asdict(one.event)} for one in records]
        found = self._store.lines()
        missing = [line["seq"] for line in json.loads(json.dumps(expected)) if line not in found]
        return Audit(values=Findings(tuple(f"the copy lacks record {seq}" for seq in missing)))


LINES = "the copy"
LINES_KIND = TrackerKind(make=LinesTracker, check=lambda _: None)


def lines_content() -> dict[Any, Any]:
    return {None: LinesFile(Path("study/copy.jsonl")).lines()}


SUBJECTS = {
    MLFLOW: Subject(MlflowClient, mlflow_content, MLFLOW_DELETIONS),
    OPTUNA: Subject(RDBStorage, optuna_content, {"the study": Deletion(delete_study)}),
    LINES: Subject(
        LinesFile, lines_content, {"the file": Deletion(lambda: Path("study/copy.jsonl").unlink())}
    ),
}
