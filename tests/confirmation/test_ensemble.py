"""`harness ensemble` on a real study: the model, its record, the test set, MLflow, export, kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mlflow import MlflowClient

import harness as library
from harness.cli import main
from harness.data.arrays import load
from harness.ensembling.ensemble import make_ensemble
from harness.errors import EngineError
from harness.model_weights import read_weights, weights_digest
from harness.paths import StudyPaths
from harness.predictions import read_predictions, softmax
from harness.study.event_log import encode, read
from harness.study.openings import openings_in_words
from harness.study.state import StudyState, fold
from harness.tracking.sync import sync_study
from tests.faults.support import harness, proven

pytestmark = pytest.mark.slow

full = pytest.mark.skipif(os.environ.get("HARNESS_TESTS") != "full", reason="runs in make test-full")


def state_of(paths: StudyPaths) -> StudyState:
    return fold(read(paths.log))


def run_of_ensemble() -> Any:
    client = MlflowClient("sqlite:///mlflow.db")
    ids = [one.experiment_id for one in client.search_experiments()]
    (run,) = [one for one in client.search_runs(ids) if one.data.tags.get("harness.ensemble") == "0"]
    return run


def test_it_is_made_recorded_tested_tracked_and_exported(study: StudyPaths) -> None:
    before = state_of(study)
    done = harness("ensemble", "s", "--top", "3", "--json")
    told = json.loads(done.stdout)
    assert "the mean of trials" in done.stderr
    assert "harness export s --ensemble" in done.stderr
    state = state_of(study)
    (ensemble,) = state.ensembles
    assert {one["trial"]: round(one["weight"], 6) for one in told["members"]} == dict.fromkeys(
        range(3), 0.333333
    )
    assert (state.elapsed_seconds, state.ended) == (before.elapsed_seconds, before.ended)
    assert state.test_openings == []
    assert "".join(map(encode, read(study.log))) == study.log.read_text()

    # The model predicts the mean of its members, and the record is that of these predictions.
    shown = library.open_study("s")
    log = study.log.read_bytes()
    averaged = shown.ensemble(top=3)  # the same once more is what there is
    assert study.log.read_bytes() == log
    assert averaged.members == pytest.approx(dict.fromkeys(range(3), 1 / 3))
    images, labels = load(state.started.dataset).on_disk("validation")
    pixels = np.asarray(images[:], np.float32)
    wanted = np.mean([one.load()(pixels).numpy() for one in shown.trials], axis=0)
    assert np.abs(averaged.load()(pixels).numpy() - wanted).max() < 1e-6
    stored = read_predictions(study.folder / ensemble.predictions, ensemble.predictions_sha256)
    assert stored is not None
    assert np.abs(softmax(stored.logits) - wanted).max() < 1e-5
    assert ensemble.score == pytest.approx((wanted.argmax(axis=1) == labels).mean())
    assert ensemble.score == ensemble.evaluation.metrics["accuracy"]
    assert ensemble.weights_sha256 == weights_digest(read_weights(study.folder / ensemble.file))

    # One opening of the test set, whichever way it is asked for.
    tested = json.loads(harness("confirm", "s", "--as-is", "--ensemble", "--json").stdout)
    assert (tested["trial"], tested["ensemble"], tested["test_openings"]) == (None, 0, 1)
    assert averaged.test().metrics == tested["test"]["metrics"]
    state = proven("s", 3)
    assert openings_in_words(state) == "test set opened once (ensemble 0)"
    accuracy = tested["test"]["metrics"]["accuracy"]
    assert f"test_accuracy {accuracy:.4f}" in harness("leaderboard", "s").stderr

    run = run_of_ensemble()
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test_accuracy"] == accuracy
    assert run.data.metrics["score"] == ensemble.score
    assert run.data.tags["harness.test_openings"] == "1"

    bundle = averaged.export(formats=["saved_model"])
    assert bundle.folder == Path("exports/s-ensemble-00000").absolute()
    assert len(bundle.parity) == 4
    provenance = yaml.safe_load((bundle.folder / "metadata.yaml").read_text())["provenance"]
    assert provenance["ensemble"] == 0
    members = [(one["trial"], one["model_sha256"]) for one in provenance["members"]]
    assert members == [(one.trial, one.model_sha256) for one in ensemble.members]
    card = (bundle.folder / "README.md").read_text()
    assert "name: s-ensemble-0" in card
    assert "the mean of the probabilities of 3 networks" in card

    # What somebody deletes in MLflow stays away, and is made again if they wish.
    MlflowClient("sqlite:///mlflow.db").delete_run(run.info.run_id)
    notes: list[str] = []
    sync_study(study, note=notes.append)
    assert any("the run of ensemble 0 was deleted there" in note for note in notes)
    sync_study(study, restore=True)
    assert run_of_ensemble().data.metrics["test_accuracy"] == accuracy


@full
def test_the_study_goes_on_with_it_and_its_stores_are_made_anew(study: StudyPaths) -> None:
    first = make_ensemble(study, top=2).ensemble
    harness("resume", "s", "--trials", "4")
    assert proven("s", 4).ensembles == [first]
    Path("mlflow.db").unlink()
    sync_study(study)
    assert proven("s", 4).ensembles == [first]


def test_killed_while_it_is_written_nothing_counts_and_it_is_made_again(study: StudyPaths) -> None:
    command = [sys.executable, "-m", "harness", "ensemble", "s", "--top", "2"]
    folder = study.folder / "ensembles"
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as running:
        deadline = time.monotonic() + 300
        while not list(folder.rglob("*.npz")):
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    assert state_of(study).ensembles == []
    looked = harness("verify", "s", code=1)
    assert "belongs to an ensemble that was cut off; it is made by: harness ensemble s" in looked.stdout
    harness("ensemble", "s", "--top", "2")
    assert len(proven("s", 3).ensembles) == 1


@full
def test_a_damaged_model_is_told_of_and_made_anew(study: StudyPaths) -> None:
    first = make_ensemble(study, top=2).ensemble
    file = study.folder / first.file
    file.write_bytes(file.read_bytes()[:-1])
    assert f"{file} was changed" in harness("verify", "s", code=1).stdout
    assert "is damaged" in harness("confirm", "s", "--as-is", "--ensemble", code=1).stderr
    assert "is damaged" in harness("export", "s", "--ensemble", code=1).stderr
    assert state_of(study).test_openings == []
    second = make_ensemble(study, top=2)
    assert (second.is_new, second.ensemble.number, second.ensemble.members) == (True, 1, first.members)
    assert second.ensemble.weights_sha256 == first.weights_sha256
    member = study.trial(first.members[0].trial) / "model.keras"
    member.write_bytes(member.read_bytes()[:-1])
    with pytest.raises(EngineError, match=r"model\.keras is damaged"):
        make_ensemble(study, top=3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ensemble", "s", "--top", "2", "--members", "3"], "give one"),
        (["ensemble", "s", "--top", "9"], "--top 9 is too many"),
        (["confirm", "s", "--ensemble"], "evaluated as it is, not trained anew"),
        (["confirm", "s", "1", "--as-is", "--ensemble"], "name two models"),
        (["confirm", "s", "--as-is", "--ensemble"], "has no ensemble yet"),
        (["export", "s", "--ensemble", "--trial", "1"], "leave --trial and --run out"),
        (["export", "s", "--ensemble"], "has no ensemble yet"),
    ],
)
def test_mistakes(
    study: StudyPaths,
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["harness", *arguments])
    before = study.log.read_bytes()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (1, 2)
    assert said in capsys.readouterr().err
    assert study.log.read_bytes() == before
