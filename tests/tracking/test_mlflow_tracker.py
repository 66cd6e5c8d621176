"""What MLflow holds after a study, and after every kind of replay."""

from __future__ import annotations

import getpass
import hashlib
import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from harness.errors import StudyError, UsageError
from harness.paths import StudyPaths, sha256_of
from harness.records import (
    ConfigurationRefused,
    Dataset,
    Environment,
    EpochEnded,
    Evaluation,
    LogRecord,
    ModelSaved,
    SegmentEnded,
    SegmentStarted,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialStarted,
)
from harness.tracking.mlflow_content import trial_run_name
from harness.tracking.mlflow_origin import origin_of_run
from harness.tracking.mlflow_reader import tracked_runs
from harness.tracking.mlflow_registered import run_of_model
from harness.tracking.mlflow_tracker import MlflowTracker
from harness.tracking.sqlite_file import create_mlflow_tables, ensure_store
from tests.conftest import keep_tables

pytestmark = pytest.mark.slow

PARENT, FIRST, SECOND, THIRD = "pets-1 · 0.800", "0000 · d1 · 0.800", "0001 · d2 · 0.600", "0002 · d3"
"""Names of the runs of `events`, at the end."""
DATASET = Dataset(
    name="drawn",
    folder="nowhere",
    split="split.npz",
    digest="ab" * 32,
    classes=("cat", "dog"),
    image_shape=(8, 8, 1),
    counts={"train": 10, "validation": 5, "test": 5},
    class_counts={"cat": 5, "dog": 5},
)
MACHINE = Environment(
    processor="Model 1",
    instruction_sets=("avx2",),
    cores=2,
    gpus=(),
    gpu_driver="",
    workers=2,
    threads=1,
    threads_between=1,
)
EVALUATION = Evaluation(
    split="validation",
    metrics={"loss": 0.5, "accuracy": 0.8},
    per_class=[
        {"class": name, "precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 3} for name in ("cat", "dog")
    ],
    confusion=[[3, 0], [1, 2]],
)


def study(session: int = 1, time: int = 1000) -> StudyStarted:
    return StudyStarted(
        study="pets-1",
        study_id="f" * 32,
        session=session,
        experiment={
            "name": "pets",
            "dataset": {"source": "pets"},
            "objective": {"metric": "val_accuracy", "direction": "maximize"},
            "space": {"depth": {"type": "int", "low": 1, "high": 3}},
        },
        dataset=DATASET,
        seed=7,
        trials=3,
        versions={"keras": "3"},
        host={"name": "box"},
        git_commit="c0ffee",
        environment=MACHINE,
        uncommitted="+depth = 2\n",
        time=time,
    )


def epoch(trial: int, number: int, value: float, time: int, attempt: int = 1) -> EpochEnded:
    metrics = {"loss": 1 / number, "val_accuracy": value}
    return EpochEnded(trial=trial, attempt=attempt, epoch=number, metrics=metrics, time=time)


def events(file: Path) -> list[Any]:
    """Trial 0 is complete and has a model; trial 1 is pruned; trial 2 fails with an infinite loss."""
    started = [
        TrialStarted(trial=n, params={"depth": n + 1}, sampled={"depth": n + 1}, seed=n, time=1001)
        for n in range(3)
    ]
    return [
        study(),
        *started,
        SegmentStarted(trial=0, attempt=1, start=0, stop=2, worker=0, time=1002),
        epoch(0, 1, 0.7, 1003),
        epoch(0, 2, 0.8, 1004),
        epoch(0, 2, 0.8, 1999, attempt=2),
        ModelSaved(
            trial=0, attempt=1, epoch=2, file=file.name, sha256=sha256_of(file), size=file.stat().st_size,
            parameters=42, time=1005,
        ),
        SegmentEnded(
            trial=0, attempt=1, epoch=2, over=True, seconds=1.0, evaluations=[EVALUATION], time=1006
        ),
        ended(0, "complete", 0.8, 1007, epoch=2),
        epoch(1, 1, 0.6, 1008),
        ended(1, "pruned", 0.6, 1009),
        ConfigurationRefused(
            number=3, params={"depth": 9}, sampled={"depth": 9}, reason="first_rung", needed=9.0,
            available=3.0, time=1009,
        ),
        epoch(2, 1, math.inf, 1010),
        ended(2, "failed", None, 1011),
        StudyEnded(reason="all 3 trials have ended", complete=True, time=1012),
    ]  # fmt: skip


def ended(trial: int, state: Any, score: float | None, time: int, *, epoch: int = 1) -> TrialEnded:
    return TrialEnded(
        trial=trial,
        state=state,
        score=score,
        values=None if score is None else [score],
        epoch=epoch,
        reason=f"because {state}",
        failure="diverged" if state == "failed" else None,
        traceback="Traceback …" if state == "failed" else "",
        time=time,
    )


@pytest.fixture(autouse=True)
def tables(own_workplace: Path, mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "model.keras").write_bytes(b"weights")
    return StudyPaths(folder)


@pytest.fixture
def log(paths: StudyPaths) -> list[LogRecord]:
    found = events(paths.folder / "model.keras")
    return [LogRecord(seq, event) for seq, event in enumerate(found, start=1)]


@pytest.fixture
def client(uri: str) -> MlflowClient:
    ensure_store(uri, create_mlflow_tables)
    return MlflowClient(uri)


def experiment_of(client: MlflowClient) -> str:
    """The id of the study's experiment."""
    experiment = client.get_experiment_by_name("pets")
    assert experiment is not None
    return str(experiment.experiment_id)


def everything(client: MlflowClient) -> dict[str, Any]:
    """All that is in MLflow, in a form that can be compared."""
    experiment = client.get_experiment_by_name("pets")
    assert experiment is not None
    ids = [experiment.experiment_id]
    found: dict[str, Any] = {"models": len(client.search_logged_models(ids))}
    for run in client.search_runs(ids):
        info, data = run.info, run.data
        history = {
            name: [(m.value, m.timestamp, m.step) for m in client.get_metric_history(info.run_id, name)]
            for name in data.metrics
        }
        tags = {key: value for key, value in data.tags.items() if key != "mlflow.parentRunId"}
        found[info.run_name] = {
            "status": info.status,
            "times": (info.start_time, info.end_time),
            "params": data.params,
            "tags": tags,
            "metrics": history,
            "inputs": [entry.dataset.name for entry in run.inputs.dataset_inputs],
            "outputs": len(run.outputs.model_outputs) if run.outputs else 0,
        }
    return found


def test_a_study_is_a_parent_run_and_its_trials_are_children(
    uri: str, paths: StudyPaths, log: list[LogRecord], client: MlflowClient
) -> None:
    MlflowTracker(uri, "pets", paths).apply(log)
    found = everything(client)
    assert set(found) == {PARENT, FIRST, SECOND, THIRD, "models"}
    parent, complete, pruned, failed = (found[name] for name in (PARENT, FIRST, SECOND, THIRD))

    assert parent["status"] == "FINISHED"
    assert parent["tags"]["harness.best_trial"] == "0"
    assert parent["tags"]["harness.state"] == "complete"
    assert parent["tags"]["mlflow.source.git.commit"] == "c0ffee"
    assert parent["params"]["objective.metric"] == "val_accuracy"
    assert parent["metrics"]["best_score"] == [(0.8, 1007, 1), (0.8, 1009, 2), (0.8, 1011, 3)]
    assert parent["inputs"] == ["drawn"]
    for run in (parent, complete, pruned, failed):
        assert run["tags"]["mlflow.source.name"] == "harness"
        assert run["tags"]["mlflow.source.type"] == "LOCAL"
        assert run["tags"]["mlflow.user"] == getpass.getuser()

    assert complete["status"] == "FINISHED"
    assert complete["times"] == (1001, 1007)
    assert complete["params"] == {"depth": "1"}
    assert complete["metrics"]["val_accuracy"] == [(0.7, 1003, 1), (0.8, 1004, 2)]
    assert complete["metrics"]["score"] == [(0.8, 1007, 2)]
    assert complete["tags"]["harness.dataset_digest"] == DATASET.digest
    assert complete["outputs"] == parent["outputs"] == found["models"] == 1

    assert (pruned["status"], pruned["tags"]["harness.state"]) == ("FINISHED", "pruned")
    assert (failed["status"], failed["tags"]["harness.failure"]) == ("FAILED", "diverged")
    assert failed["tags"]["harness.non_finite.val_accuracy"] == "inf at step 1"
    assert "val_accuracy" not in failed["metrics"]


def test_what_a_session_was_run_with_is_kept_with_the_studys_run(
    uri: str, paths: StudyPaths, log: list[LogRecord], client: MlflowClient
) -> None:
    """Each session's: the next one may be on another machine."""
    later = replace(
        study(session=2, time=2000), environment=replace(MACHINE, processor="Model 2"), uncommitted=""
    )
    end = replace(log[-1].event, time=3000)
    more = [LogRecord(len(log) + number, event) for number, event in enumerate((later, end), 1)]
    MlflowTracker(uri, "pets", paths).apply([*log, *more])
    (run,) = [run for run in client.search_runs([experiment_of(client)]) if run.info.run_name == PARENT]
    assert run.data.tags["harness.processor"] == "Model 1"
    assert run.data.tags["harness.threads"] == "1"
    folder = Path(str(run.info.artifact_uri).removeprefix("file://")) / "sessions"
    told = [json.loads((folder / session / "environment.json").read_text()) for session in ("1", "2")]
    assert [one["environment"]["processor"] for one in told] == ["Model 1", "Model 2"]
    assert told[0]["dataset_digest"] == DATASET.digest
    assert (told[0]["git_commit"], told[0]["seed"]) == ("c0ffee", 7)
    assert json.loads((folder / "1" / "experiment.json").read_text())["name"] == "pets"
    assert (folder / "1" / "uncommitted.diff").read_text() == "+depth = 2\n"
    assert not (folder / "2" / "uncommitted.diff").exists()


def test_a_trials_final_metrics_are_its_models_and_its_model_the_studys(
    uri: str, paths: StudyPaths, log: list[LogRecord], client: MlflowClient
) -> None:
    MlflowTracker(uri, "pets", paths).apply(log)
    own = experiment_of(client)
    (model,) = client.search_logged_models([own])
    assert {(metric.key, metric.step, metric.value) for metric in model.metrics or ()} == {
        ("score", 2, 0.8), ("final_val_loss", 2, 0.5), ("final_val_accuracy", 2, 0.8)
    }  # fmt: skip
    assert model.tags["mlflow.user"] == getpass.getuser()
    runs = {run.info.run_name: run for run in client.search_runs([own])}
    for name in (PARENT, FIRST):
        assert [output.model_id for output in runs[name].outputs.model_outputs] == [model.model_id]


def test_runs_of_an_earlier_version_are_gone_on_with_under_their_names(
    uri: str, paths: StudyPaths, log: list[LogRecord], client: MlflowClient
) -> None:
    """They were called `trial-00001`; what is known by tags is not made twice."""
    MlflowTracker(uri, "pets", paths).apply(log[:7])
    for run in client.search_runs([experiment_of(client)]):
        if "harness.trial" in run.data.tags:
            name = f"trial-{int(run.data.tags['harness.trial']):05d}"
            client.update_run(run.info.run_id, name=name)
    MlflowTracker(uri, "pets", paths).apply(log)
    names = {run.info.run_name for run in client.search_runs([experiment_of(client)])}
    assert names == {PARENT, "trial-00000", "trial-00001", "trial-00002"}


def test_the_studys_name_tells_the_best_score_so_far(
    uri: str, paths: StudyPaths, log: list[LogRecord], client: MlflowClient
) -> None:
    """Unless somebody has given it another one."""
    better = ended(1, "complete", 0.9, 1009)
    log = [*log[:12], LogRecord(13, better), *log[13:]]
    tracker = MlflowTracker(uri, "pets", paths)
    seen: list[str] = []
    for start, stop in pairwise((0, 5, 11, 13, 16)):
        tracker.apply(log[start:stop])
        runs = client.search_runs([experiment_of(client)])
        seen += [run.info.run_name for run in runs if "harness.trial" not in run.data.tags]
    assert seen == ["pets-1", "pets-1 · 0.800", "pets-1 · 0.900", "pets-1 · 0.900"]


@pytest.mark.parametrize(
    ("params", "score", "name"),
    [
        ({"optimizer": "adam", "depth": 4, "family": "cnn", "l2": 0.1}, 0.9124, "0007 · cnn d4 adam · 0.912"),
        ({"depth": 4}, None, "0007 · d4"),
        ({}, 1_234_567.0, "0007 · 1.23e+06"),
        ({"optimizer": "sgd"}, 0.0000123, "0007 · sgd · 1.23e-05"),
        ({"optimizer": "sgd"}, 0.0, "0007 · sgd · 0.000"),
        ({"optimizer": "sgd"}, -0.5, "0007 · sgd · -0.500"),
    ],
)  # fmt: skip
def test_a_trials_name_tells_what_it_is(params: dict[str, Any], score: float | None, name: str) -> None:
    assert trial_run_name(7, params, score) == name


@pytest.mark.parametrize(("size", "copied"), [(100, True), (2**20 + 1, False)])
def test_predictions_are_copied_while_they_are_small(
    size: int, copied: bool, uri: str, paths: StudyPaths, log: list[LogRecord], client: MlflowClient
) -> None:
    (paths.folder / "validation.npz").write_bytes(bytes(size))
    told = [
        replace(record, event=replace(record.event, predictions="validation.npz"))
        if isinstance(record.event, ModelSaved)
        else record
        for record in log
    ]
    MlflowTracker(uri, "pets", paths).apply(told)
    runs = {run.info.run_name: run.info.run_id for run in client.search_runs([experiment_of(client)])}
    kept = {file.path: file.file_size for file in client.list_artifacts(runs[FIRST], "evaluation")}
    assert kept.get("evaluation/validation.npz") == (size if copied else None)


def test_artifacts_hold_the_tables_and_the_traceback(
    uri: str, paths: StudyPaths, log: list[LogRecord], client: MlflowClient
) -> None:
    MlflowTracker(uri, "pets", paths).apply(log)
    experiment = client.get_experiment_by_name("pets")
    assert experiment is not None
    runs = {run.info.run_name: run.info.run_id for run in client.search_runs([experiment.experiment_id])}
    confusion = Path(client.download_artifacts(runs[FIRST], "evaluation/validation_confusion.csv"))
    assert confusion.read_text().splitlines() == ["true \\ predicted,cat,dog", "cat,3,0", "dog,1,2"]
    trace = client.download_artifacts(runs[THIRD], "failure/traceback.txt")
    assert Path(trace).read_text() == "Traceback …"
    origin = origin_of_run(uri, runs[SECOND])
    assert (origin.study, origin.study_id, origin.trial) == ("pets-1", "f" * 32, 1)
    assert origin_of_run(uri, runs[FIRST]).sha256 == hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(StudyError, match="not a trial"):
        origin_of_run(uri, runs[PARENT])
    with pytest.raises(StudyError, match="no run"):
        origin_of_run(uri, "0" * 32)


def test_the_address_of_a_model_leads_to_its_run(
    uri: str,
    paths: StudyPaths,
    log: list[LogRecord],
    client: MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)  # by which MLflow's registry finds a logged model
    MlflowTracker(uri, "pets", paths).apply(log)
    experiment = client.get_experiment_by_name("pets")
    assert experiment is not None
    runs = {run.info.run_name: run.info.run_id for run in client.search_runs([experiment.experiment_id])}
    (model,) = client.search_logged_models([experiment.experiment_id])
    client.create_registered_model("pets")
    client.create_model_version("pets", f"models:/{model.model_id}", model_id=model.model_id)
    client.create_model_version("pets", f"models:/{model.model_id}", run_id=runs[FIRST])
    client.set_registered_model_alias("pets", "champion", "1")
    for address in ("pets@champion", "pets/1", "pets/2", model.model_id):
        assert run_of_model(uri, f"models:/{address}") == runs[FIRST], address
    for address in ("pets@challenger", "pets/3", "cats@champion", "m-0123"):
        with pytest.raises(StudyError, match=f"MLflow has no model models:/{address} that"):
            run_of_model(uri, f"models:/{address}")
    for address in ("pets", "pets/latest", "", "pets@a/1"):
        with pytest.raises(UsageError, match="write models:/NAME@ALIAS"):
            run_of_model(uri, f"models:/{address}")


@pytest.mark.parametrize("crash_after", [1, 4, 7, 9, 11, 15])
def test_a_crash_before_the_cursor_was_written_doubles_nothing(
    uri: str, paths: StudyPaths, log: list[LogRecord], client: MlflowClient, crash_after: int
) -> None:
    """MLflow has records that the cursor does not know of; another tracker replays the whole log."""
    MlflowTracker(uri, "pets", paths).apply(log[:crash_after])
    paths.tracking_cursor.unlink()
    MlflowTracker(uri, "pets", paths).apply(log)
    replayed = everything(client)

    clean = StudyPaths(paths.folder.with_name("clean"))
    clean.folder.mkdir()
    (clean.folder / "model.keras").write_bytes(b"weights")
    other = f"{uri}.clean"
    MlflowTracker(other, "pets", clean).apply(log)
    assert replayed == everything(MlflowClient(other))


@pytest.mark.parametrize("told", [True, False], ids=["cursor", "no cursor"])
@pytest.mark.parametrize("sessions", [1, 2])
def test_a_model_that_a_repeated_segment_wrote_anew_takes_the_place_of_the_first(
    uri: str, paths: StudyPaths, log: list[LogRecord], client: MlflowClient, sessions: int, told: bool
) -> None:
    """A worker, or everything, died between the model and the segment's end; its bytes are others now."""
    at = next(index for index, record in enumerate(log) if isinstance(record.event, ModelSaved))
    again = replace(log[at].event, attempt=2, sha256="6" * 64, time=1006)
    both = [record.event for record in log[: at + 1]] + [again] + [record.event for record in log[at + 1 :]]
    log = [LogRecord(seq, event) for seq, event in enumerate(both, start=1)]
    tracker = MlflowTracker(uri, "pets", paths)
    tracker.apply(log[: at + 1])
    (paths.folder / "model.keras").write_bytes(b"other weights")
    if not told:
        paths.tracking_cursor.unlink()
    if sessions == 2:
        tracker = MlflowTracker(uri, "pets", paths)
    tracker.apply(log if sessions == 2 or not told else log[at + 1 :])

    found = everything(client)
    assert found["models"] == found[FIRST]["outputs"] == 1
    trial_run = next(run for run in tracked_runs(uri, "pets", "f" * 32) if run.trial == 0)
    assert trial_run.models == [hashlib.sha256(b"other weights").hexdigest()]
    experiment = client.get_experiment_by_name("pets")
    assert experiment is not None
    model = client.search_logged_models([experiment.experiment_id])[0]
    assert model.tags["sha256"] == "6" * 64
    assert str(model.status) == "READY"


@pytest.mark.parametrize(
    "failing",
    [
        "create_experiment", "create_run", "log_inputs", "log_batch", "create_logged_model", "log_outputs",
        "set_terminated", "log_model_artifacts",
    ],
)  # fmt: skip
def test_a_batch_that_failed_half_way_is_whole_after_another_try(
    uri: str,
    paths: StudyPaths,
    log: list[LogRecord],
    client: MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
) -> None:
    """The call takes effect, but its answer is lost: the same tracker is given the same records again."""
    real, answers = (
        getattr(MlflowClient, failing),
        iter([True, False] if failing == "create_run" else [False]),
    )

    def lossy(self: MlflowClient, *arguments: Any, **named: Any) -> Any:
        found = real(self, *arguments, **named)
        if not next(answers, True):
            raise ConnectionError("the answer was lost")
        return found

    monkeypatch.setattr(MlflowClient, failing, lossy)
    tracker = MlflowTracker(uri, "pets", paths)
    with pytest.raises(ConnectionError):
        tracker.apply(log)
    tracker.apply(log)
    replayed = everything(client)

    clean = StudyPaths(paths.folder.with_name("clean"))
    clean.folder.mkdir()
    (clean.folder / "model.keras").write_bytes(b"weights")
    MlflowTracker(f"{uri}.clean", "pets", clean).apply(log)
    assert replayed == everything(MlflowClient(f"{uri}.clean"))


def test_a_replay_with_the_cursor_writes_nothing(
    uri: str, paths: StudyPaths, log: list[LogRecord], client: MlflowClient
) -> None:
    MlflowTracker(uri, "pets", paths).apply(log)
    before = everything(client)
    experiment = client.get_experiment_by_name("pets")
    assert experiment is not None
    own = next(run for run in client.search_runs([experiment.experiment_id]) if run.info.run_name == PARENT)
    assert json.loads(paths.tracking_cursor.read_text()) == {
        "seq": len(log),
        "experiment": experiment.experiment_id,
        "run": own.info.run_id,
        "left_out": [],
    }
    MlflowTracker(uri, "pets", paths).apply(log)
    assert everything(client) == before


def test_an_empty_server_gets_everything_whatever_the_cursor_says(
    uri: str, paths: StudyPaths, log: list[LogRecord], client: MlflowClient
) -> None:
    MlflowTracker(uri, "pets", paths).apply(log)
    before = everything(client)
    MlflowTracker(f"{uri}.other", "pets", paths).apply(log)
    assert everything(MlflowClient(f"{uri}.other")) == before


def test_an_interrupted_study_leaves_no_run_running_and_goes_on(
    uri: str, paths: StudyPaths, log: list[LogRecord], client: MlflowClient
) -> None:
    cut = [*log[:7], LogRecord(8, StudyEnded(reason="interrupted", complete=False, time=1050))]
    MlflowTracker(uri, "pets", paths).apply(cut)
    found = everything(client)
    assert {value["status"] for name, value in found.items() if name != "models"} == {"KILLED"}
    again = [
        LogRecord(9, study(session=2, time=1100)),
        LogRecord(10, SegmentStarted(trial=0, attempt=2, start=0, stop=2, worker=0, time=1101)),
    ]
    MlflowTracker(uri, "pets", paths).apply([*cut, *again])
    found = everything(client)
    assert found["pets-1"]["status"] == found["0000 · d1"]["status"] == "RUNNING"
    assert found["0001 · d2"]["status"] == "KILLED"


def test_the_model_folder_is_what_mlflow_itself_would_write(
    tmp_path: Path, paths: StudyPaths, uri: str
) -> None:
    """Both flavours load it in a process without harness, and predict what Keras does, whatever the type."""
    import subprocess
    import sys

    import keras
    import mlflow.keras as mlflow_keras
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    from harness.experiment.parameters import complete
    from harness.model.network import build, with_probabilities
    from harness.model.preprocessing import PixelStatistics

    model = with_probabilities(
        build(complete({"depth": 1, "width": 4}), (8, 8, 1), 2, PixelStatistics((70.0,), (90.0,)))
    )
    model.save(paths.folder / "model.keras")
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    file = paths.folder / "model.keras"
    log = [LogRecord(seq, event) for seq, event in enumerate(events(file), start=1)]
    MlflowTracker(uri, "pets", paths).apply(log)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("pets")
    assert experiment is not None
    logged = client.search_logged_models([experiment.experiment_id])[0]
    assert logged.status == "READY"

    theirs_signature = ModelSignature(
        Schema([TensorSpec(np.dtype(np.float32), (-1, 8, 8, 1))]), logged_signature(logged).outputs
    )
    mlflow_keras.save_model(
        model, str(tmp_path / "theirs"), pip_requirements=["keras"], signature=theirs_signature
    )
    theirs = Model.load(str(tmp_path / "theirs"))
    ours = Model.load(logged.artifact_location.removeprefix("file://"))
    assert ours.flavors.keys() == theirs.flavors.keys()
    for flavor, options in theirs.flavors.items():
        brought = {"code"} if flavor == "python_function" else set()  # the loader of its own
        assert ours.flavors[flavor].keys() == options.keys() | brought
    assert ours.flavors["keras"] == theirs.flavors["keras"]

    script = (
        "import sys, mlflow, numpy as np\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "images = np.load('images.npy')\n"
        "keras_model = mlflow.keras.load_model(sys.argv[2])\n"
        "pyfunc = mlflow.pyfunc.load_model(sys.argv[2])\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'harness']\n"
        "np.savez('found.npz', k=keras_model(images), p=pyfunc.predict(images))\n"
    ) + TAKES_ANY_PIXELS
    subprocess.run(
        [sys.executable, "-c", script, uri, f"models:/{logged.model_id}"],
        cwd=tmp_path,
        check=True,
        timeout=300,
    )
    with np.load(tmp_path / "found.npz") as found:
        np.testing.assert_allclose(found["k"], keras.ops.convert_to_numpy(model(images)), atol=1e-6)
        np.testing.assert_allclose(found["p"], found["k"], atol=1e-6)


TAKES_ANY_PIXELS = """
import json
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

whole = images.astype(np.int64)
expected = pyfunc.predict(images)
for name, pixels in {
    "uint8": images.astype(np.uint8), "int64": whole, "float64": images.astype(np.float64),
    "float16": images.astype(np.float16), "list": whole.tolist(), "list of arrays": list(whole),
    "named": {"image": whole.tolist()}, "table": pd.DataFrame({"image": whole.tolist()}),
    "flat table": pd.DataFrame(whole.reshape(len(whole), -1)),
}.items():
    np.testing.assert_allclose(pyfunc.predict(pixels), expected, atol=1e-6, err_msg=name)
for name, body in {
    "inputs": {"inputs": whole.tolist()}, "floats": {"inputs": images.tolist()},
    "named": {"inputs": {"image": whole.tolist()}}, "instances": {"instances": whole.tolist()},
    "table": {"dataframe_split": {"columns": ["image"], "data": [[one] for one in whole.tolist()]}},
}.items():  # what `mlflow models serve` does with the body of a request
    answer = scoring_server.invocations(
        json.dumps(body), "application/json", pyfunc, pyfunc.metadata.get_input_schema()
    )
    assert answer.status == 200, (name, answer)
    np.testing.assert_allclose(json.loads(answer.response)["predictions"], expected, atol=1e-5, err_msg=name)
for wrong in (whole[:, :5], whole[0], [[1, 2], [3]], "text"):
    try:
        pyfunc.predict(wrong)
    except MlflowException as error:
        assert "The model takes images as numbers" in str(error)
    else:
        raise AssertionError(f"{wrong!r} was taken")
"""


def logged_signature(logged: Any) -> Any:
    from mlflow.models import Model

    return Model.load(logged.artifact_location.removeprefix("file://")).signature


def test_a_store_of_files_has_nothing_twice_after_a_replay(
    tmp_path: Path, paths: StudyPaths, log: list[LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would keep a metric that is sent again, unlike a database."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = f"file:{tmp_path}/runs"
    MlflowTracker(uri, "pets", paths).apply(log)
    before = everything(MlflowClient(uri))
    paths.tracking_cursor.unlink()
    MlflowTracker(uri, "pets", paths).apply(log)
    assert everything(MlflowClient(uri)) == before
    assert before[FIRST]["metrics"]["val_accuracy"] == [(0.7, 1003, 1), (0.8, 1004, 2)]
