"""A sweep on a real Ray whose workers see no folder of the coordinator's, with a bucket between them."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.paths import StudyPaths
from harness.study.state import StudyState
from tests.conftest import keep_tables
from tests.faults.support import events, harness, proven, running, seen, state_of, tiny, until
from tests.object_store import ACCESS_KEY, ENVIRONMENT, SECRET_KEY, ObjectStore, object_store

pytestmark = pytest.mark.slow

TRIALS = 3
LENGTH = ["--trials", str(TRIALS), "--epochs", "30"]
ELSEWHERE = """
from harness.engine import ray_engine

make = ray_engine.make_token

def unseen(study):
    token = make(study)
    token.unlink()
    return token

ray_engine.make_token = unseen
"""
"""Takes away the file by which workers recognise the study's folder, as if their node did not have it."""


@pytest.fixture(autouse=True)
def own_tables(own_workplace: Path, mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A server with an empty bucket, which this process and those that it starts know."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with object_store() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        server.make_bucket("sweeps")
        yield server


def epochs(study: str) -> int:
    return sum(event["kind"] == "epoch_ended" for event in events(study))


def results(study: str) -> dict[int, object]:
    """Of every trial, all that was measured, but for times, and by what its weights are recognised."""
    found: dict[int, object] = {}
    for trial in state_of(study).trials.values():
        metrics = {
            epoch: {name: value for name, value in told.items() if "second" not in name}
            for epoch, told in trial.epochs.items()
        }
        found[trial.number] = trial.params, metrics, trial.model and trial.model.weights_sha256
    return found


def models_in(state: StudyState) -> dict[str, str]:
    """SHA-256 by name."""
    found = {}
    for trial in state.trials.values():
        assert trial.model is not None
        found[trial.model.file] = trial.model.sha256
        found[trial.model.predictions] = trial.model.predictions_sha256
        found[f"trials/{trial.number:05d}/reference.npz"] = trial.model.reference_sha256
    return found


def test_files_go_through_the_bucket_and_the_study_is_that_of_one_machine(store: ObjectStore) -> None:
    """Although the bucket is away for a while, the sweep is interrupted, and a checkpoint is changed."""
    arguments = ["--engine", "ray", "--workers", "2", "--study-files", "s3://sweeps/of-a-team"]
    with running("sweep", tiny(), "--study", "far", *LENGTH, *arguments, script=ELSEWHERE) as sweep:
        until(seen("far", "checkpoint_saved"), sweep)
        store.stop()
        until(lambda: "The sweep waits: s3://sweeps/of-a-team/far-" in sweep.stderr, sweep)
        harness("sweep", tiny(), "--study", "here", *LENGTH, "--workers", "2")
        waiting = epochs("far")
        store.start()
        until(lambda: epochs("far") > waiting + 4, sweep)
        sweep.process.send_signal(signal.SIGINT)
        sweep.wait()
    said = sweep.stderr
    assert "which does not see" in said
    state = state_of("far")
    place = state.started.files.removeprefix("s3://sweeps/")
    open_trials = [trial for trial in state.trials.values() if not trial.has_ended]
    last = next(trial.checkpoints[-1] for trial in open_trials if trial.checkpoints)
    assert not list(StudyPaths.of("far").folder.rglob("*.ckpt")), "none has come here"
    content = store.get("sweeps", f"{place}/{last.file}")
    assert hashlib.sha256(content).hexdigest() == last.sha256
    store.put("sweeps", f"{place}/{last.file}", content[:-1] + bytes([content[-1] ^ 1]))

    went_on = harness("resume", "far")
    assert "its SHA-256 differs" in went_on.stderr
    assert "An earlier state is used" in went_on.stderr
    state = proven("far", TRIALS)
    assert not [event for event in events("far") if event["kind"] == "trial_ended" and event["failure"]]
    assert results("far") == results("here")

    wanted = models_in(state)
    kept = {name.removeprefix(f"{place}/"): name for name in store.objects("sweeps")}
    assert kept.keys() == wanted.keys(), "checkpoints are gone when their trials have ended"
    for name, sha256 in wanted.items():
        assert hashlib.sha256(store.get("sweeps", kept[name])).hexdigest() == sha256
        assert hashlib.sha256((StudyPaths.of("far").folder / name).read_bytes()).hexdigest() == sha256
    everything = [file for file in Path().rglob("*") if file.is_file()]
    told = said.encode() + went_on.stderr.encode() + b"".join(file.read_bytes() for file in everything)
    assert ACCESS_KEY.encode() not in told
    assert SECRET_KEY.encode() not in told
