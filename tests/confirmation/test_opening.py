"""The test set is opened for a model, counted once whatever happens, and refused for a reason."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

import harness
from harness.confirmation.opening import open_test_set
from harness.data.sealed import open_sealed
from harness.errors import DataError, ExportError, StudyError
from harness.paths import StudyPaths
from harness.records import Dataset, LogRecord, StudyStarted, TestOpened
from harness.study.event_log import EventLog, encode, read
from harness.study.lock import study_lock
from harness.study.openings import openings_in_words
from harness.study.state import StudyState, best, fold
from tests.faults.support import proven

pytestmark = pytest.mark.slow


def state_of(paths: StudyPaths) -> StudyState:
    return fold(read(paths.log))


def openings(paths: StudyPaths) -> list[TestOpened]:
    return [record.event for record in read(paths.log) if isinstance(record.event, TestOpened)]


def with_dataset(paths: StudyPaths, **changes: object) -> Dataset:
    """Let the study's log say other things of its data set."""
    records = read(paths.log)
    lines = []
    for record in records:
        event = record.event
        if isinstance(event, StudyStarted):
            event = replace(event, dataset=replace(event.dataset, **changes))  # type: ignore[arg-type]
        lines.append(encode(LogRecord(record.seq, event)))
    paths.log.write_text("".join(lines))
    return state_of(paths).started.dataset


def kill_when_opened(paths: StudyPaths, number: int) -> None:
    """Type the command, and kill it as soon as the log has so many records of openings more."""
    wanted = len(openings(paths)) + number
    command = [sys.executable, "-m", "harness", "confirm", "s", "--as-is"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        deadline = time.monotonic() + 120
        while len(openings(paths)) < wanted:
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        out, _ = running.communicate()
    assert out == b""


def test_a_model_is_evaluated_as_scikit_learn_does_and_every_store_is_told(study: StudyPaths) -> None:
    import keras

    before = state_of(study)
    assert openings_in_words(before) == "test set sealed: never opened"
    seconds = before.elapsed_seconds
    found = open_test_set(study)
    winner = best(before)
    assert winner is not None
    assert winner.model is not None
    assert found.trial == winner.number
    assert found.behind == ()

    images, labels = open_sealed(before.started.dataset)
    model = keras.saving.load_model(study.folder / winner.model.file)
    predicted = model.predict(images[:].astype(np.float32), verbose=0).argmax(axis=1)
    metrics = found.evaluation.metrics
    assert metrics["accuracy"] == pytest.approx(accuracy_score(labels, predicted), abs=1e-9)
    for name, score in (
        ("precision_macro", precision_score), ("recall_macro", recall_score), ("f1_macro", f1_score),
    ):  # fmt: skip
        assert metrics[name] == pytest.approx(score(labels, predicted, average="macro", zero_division=0))

    begun, whole = openings(study)
    assert (begun.evaluation, whole.evaluation) == (None, found.evaluation)
    assert begun.model_sha256 == winner.model.sha256
    assert begun.test_digest == before.started.dataset.split_digests["test"]
    assert begun.images == before.started.dataset.counts["test"] == len(labels)

    log = study.log.read_bytes()
    assert open_test_set(study).evaluation == found.evaluation  # shown again, not opened again
    assert study.log.read_bytes() == log

    other = next(number for number in before.trials if number != winner.number)
    evaluation = harness.open_study("s").trials[other].test()
    assert sum(map(sum, evaluation.confusion)) == len(labels)
    assert harness.open_study("s").test_openings == 2
    after = proven("s", 3)
    assert openings_in_words(after) == f"test set opened 2 times (trials {winner.number}, {other})"
    assert after.elapsed_seconds == seconds

    client = MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")
    ids = [one.experiment_id for one in client.search_experiments()]
    for run in client.search_runs(ids):
        trial = run.data.tags.get("harness.trial")
        opened = trial is None or int(trial) in (winner.number, other)
        assert run.data.tags.get("harness.test_openings") == ("2" if opened else None)
        assert ("test_accuracy" in run.data.metrics) == (opened and trial is not None)


def test_an_opening_that_is_killed_counts_once_and_is_finished(study: StudyPaths) -> None:
    """Before anything was predicted, or before it was shown; who looks sees what is missing."""
    kill_when_opened(study, 1)
    state = state_of(study)
    (number,) = state.openings
    assert state.openings[number].evaluation is None
    assert openings_in_words(state) == f"test set opened once (trial {number})"
    done = subprocess.run(
        [sys.executable, "-m", "harness", "verify", "s"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"finish it with: harness confirm s {number} --as-is" in done.stdout
    kill_when_opened(study, 1)
    found = open_test_set(study)
    assert found.trial == number
    assert len(openings(study)) == 2
    assert openings_in_words(proven("s", 3)) == f"test set opened once (trial {number})"


def test_data_that_the_cache_has_lost_is_prepared_again(study: StudyPaths, tmp_path: Path) -> None:
    with_dataset(study, folder=str(tmp_path / "gone"))
    found = open_test_set(study, 1)
    assert list((tmp_path / "cache" / "datasets").glob("digits-*"))
    assert sum(map(sum, found.evaluation.confusion)) == 269


def test_what_is_not_the_sealed_test_set_is_not_opened(study: StudyPaths, tmp_path: Path) -> None:
    """Each time with the reason, and without an opening."""
    dataset = state_of(study).started.dataset
    digests = dataset.split_digests
    with pytest.raises(StudyError, match="has no trial 7"):
        open_test_set(study, 7)
    with study_lock(study), pytest.raises(StudyError, match="is being run by"):
        open_test_set(study)
    with_dataset(study, counts=dataset.counts | {"test": 0})
    with pytest.raises(StudyError, match="has no test images"):
        open_test_set(study)
    with_dataset(study, counts=dataset.counts, split_digests=digests | {"test": "0" * 64})
    with pytest.raises(StudyError, match="not those that were sealed"):
        open_test_set(study)
    with_dataset(study, split_digests=digests, folder=str(tmp_path / "gone"), digest="0" * 64)
    with pytest.raises(StudyError, match="has changed since the study s began"):
        open_test_set(study)
    with_dataset(study, folder=dataset.folder, digest=dataset.digest)
    model = study.trial(0) / "model.keras"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(ExportError, match="damaged"):
        open_test_set(study, 0)
    assert openings(study) == []


def test_data_that_is_nowhere_is_told_of(study: StudyPaths, tmp_path: Path) -> None:
    experiment = state_of(study).started.experiment
    source = experiment["dataset"] | {"source": "lost-folder"}
    records = read(study.log)
    first = records[0].event
    assert isinstance(first, StudyStarted)
    first = replace(first, experiment=experiment | {"dataset": source})
    study.log.write_text("".join(map(encode, [LogRecord(1, first), *records[1:]])))
    with_dataset(study, folder=str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"lost-folder.*Put the data set back where the study found it"):
        open_test_set(study)


def test_a_trial_that_was_stopped_has_no_model_to_evaluate(study: StudyPaths) -> None:
    records = [record for record in read(study.log) if getattr(record.event, "trial", 0) != 2]
    study.log.unlink()
    log = EventLog(study.log)
    for record in records:
        if record.event.kind != "study_ended":
            log.append(record.event)
    started = next(one.event for one in records if one.event.kind == "trial_started")
    log.append(replace(started, trial=2))  # type: ignore[arg-type]
    log.close()
    shutil.rmtree(study.trial(2))
    with pytest.raises(StudyError, match="Trial 2 of s is waiting, so it has no final model"):
        open_test_set(study, 2)
