"""A trial trained again is the same to the last bit, whatever had happened to it; a record that was tampered
with is found out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.errors import StudyError
from harness.paths import StudyPaths
from harness.records import EpochEnded, TrialStarted
from harness.study.event_log import encode, read
from tests.faults.support import events, running, seen, until

pytestmark = pytest.mark.slow

EXPERIMENT = """\
name: small
dataset: {source: digits, limit_train: 800}
training: {epochs: 4, precision: float32}
scheduler: {kind: none}
search: {sampler: random, workers: 1}
space:
  depth: 2
  width: 16
  dropout: 0.2
  l2: {type: float, low: 1.0e-6, high: 1.0e-3, log: true}
  augmentation: shift
  optimizer: adam
  learning_rate: 0.005
  schedule: cosine
"""
PAUSED = ["--set", "scheduler={kind: asha, min_epochs: 1, reduction: 2}", "--trials", "4"]


def command(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ,
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done


def of_kind(study: str, kind: str, trial: int) -> list[dict[str, Any]]:
    return [event for event in events(study) if event["kind"] == kind and event["trial"] == trial]


def tampered(study: str, name: str, change: Callable[[Any], Any]) -> None:
    """A copy of a study whose log has other events, with checksums that are right."""
    shutil.copytree(StudyPaths.of(study).folder, StudyPaths.of(name).folder)
    log = StudyPaths.of(name).log
    records = [replace(record, event=change(record.event)) for record in read(log)]
    log.write_text("".join(map(encode, records)), encoding="utf-8")


def other_seed(event: Any) -> Any:
    return replace(event, seed=event.seed + 1) if isinstance(event, TrialStarted) else event


def other_metric(event: Any) -> Any:
    if isinstance(event, EpochEnded) and event.epoch == 3:
        return replace(event, metrics=event.metrics | {"val_loss": event.metrics["val_loss"] * 0.9})
    return event


def with_dataset(event: Any, **changes: Any) -> Any:
    return replace(event, dataset=replace(event.dataset, **changes)) if hasattr(event, "dataset") else event


def test_straight_paused_and_killed_are_the_same_and_tampering_is_found() -> None:
    Path("small.yaml").write_text(EXPERIMENT)
    command("sweep", "small.yaml", "--study", "straight", "--trials", "1")
    command("sweep", "small.yaml", "--study", "paused", *PAUSED)
    with running("sweep", "small.yaml", "--study", "killed", "--trials", "1") as sweep:
        until(seen("killed", "checkpoint_saved", trial=0), sweep)
        sweep.workers()[0].kill()
        assert sweep.wait() == 0
    starts = [[one["start"] for one in of_kind("paused", "segment_started", trial)] for trial in range(4)]
    paused = starts.index([0, 1, 2])
    assert len(of_kind("killed", "segment_started", 0)) == 2

    for study, trial in (("paused", paused), ("killed", 0)):
        found = json.loads(command("reproduce", str(trial), "--study", study, "--json").stdout)
        assert found["verdict"] == "identical", found
        epochs = found["epochs"]
        assert (epochs["recorded"], epochs["identical"], epochs["first_difference"]) == (4, 4, None)
        assert (epochs["states"], epochs["states_identical"]) == (3, 3)
        assert found["weights"]["identical"] is True
        assert found["weights"]["largest"] == 0
        assert found["changed"] == []
        assert found["notes"] == []
    models = [of_kind(study, "model_saved", 0)[-1] for study in ("straight", "killed")]
    assert models[0]["weights_sha256"] == models[1]["weights_sha256"] != ""
    assert models[0]["sha256"] != models[1]["sha256"]

    tampered("straight", "reseeded", other_seed)
    done = command("reproduce", "0", "--study", "reseeded", code=1)
    assert "different, from epoch 1 on" in done.stdout
    assert "0 of 4 epochs identical" in done.stdout
    tampered("straight", "improved", other_metric)
    found = harness.open_study("improved").trials[0].reproduce()
    assert found.verdict == "different"
    assert found.epochs.first_difference == 3
    assert [one.name for one in found.epochs.differences] == ["val_loss"]
    assert found.epochs.identical == found.epochs.states_identical == 3
    assert found.weights is not None
    assert found.weights.identical
    _refused()


def _refused() -> None:
    """Other data, another split, and a trial that there is not, each in a sentence; nothing is changed."""
    log = StudyPaths.of("straight").log
    before = log.read_bytes()
    tampered("straight", "data", lambda event: with_dataset(event, digest="0" * 64))
    with pytest.raises(StudyError, match="is not the one that straight was trained on"):
        harness.open_study("data").trials[0].reproduce()
    tampered("straight", "split", lambda event: with_dataset(event, split_digests={"train": "0" * 64}))
    with pytest.raises(StudyError, match="is split into other training and validation images"):
        harness.open_study("split").trials[0].reproduce()
    assert "has no trial 7" in command("reproduce", "7", "--study", "straight", code=1).stderr
    assert log.read_bytes() == before
