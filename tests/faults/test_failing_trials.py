"""Trials that diverge, and user code that eats memory, crashes, leaves, hangs or is stopped."""

from __future__ import annotations

import json
import math
import signal
import time
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from mlflow import MlflowClient

from harness.paths import optuna_storage, tracking_uri
from harness.study.state import StudyState, best
from harness.study.trial import Trial
from tests.faults.support import events, harness, leaderboard, proven, running, seen, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

HANG_SECONDS = 10
MEMORY = 1.5
"""GiB; a worker with TensorFlow in it uses about a third."""

DIVERGING = """\
name: diverging
dataset: {source: digits, limit_train: 900}
training: {epochs: 4, precision: float32}
scheduler: {kind: none}
search: {sampler: grid, workers: 2}
space:
  width: [8]
  depth: [1]
  optimizer: [sgd]
  batch_norm: [false]
  weight_decay: [1.0]  # at a learning rate of 10 every step makes the weights nine times as large
  learning_rate: %s
"""

PLUGIN = """\
name: own
model: own_network:build
dataset: {source: digits, limit_train: 900}
training: {epochs: 4, precision: float32}
scheduler: {kind: none}
search: {sampler: grid, workers: 2, hang_seconds: %d, worker_memory: %g}
space:
  does: [%s]
  batch_size: 64
"""

NETWORK = '''\
import ctypes, os, time
from pathlib import Path
import keras
import numpy as np


@keras.saving.register_keras_serializable()
class Fuse(keras.layers.Layer):
    """Lets its inputs pass for so many training steps; then they are no numbers any more."""

    def __init__(self, steps, **config):
        super().__init__(**config)
        self.steps = steps

    def build(self, shape):
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def get_config(self):
        return {**super().get_config(), "steps": self.steps}

    def call(self, inputs, training=False):
        if training:
            self.seen.assign(self.seen + 1.0)
        return keras.ops.where(self.seen > self.steps, np.nan, inputs)


def first_time(what):
    try:
        Path(what).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def eat():
    eaten = np.ones(3 * 2**27)
    time.sleep(30)
    return eaten


def build(params, image_shape, num_classes):
    does = params["does"]
    if does == "greedy" or does == "greedy once" and first_time("greedy"):
        eat()
    if does == "segfault":
        ctypes.string_at(0)
    if does == "leave" or does == "leave once" and first_time("left"):
        os._exit(0)
    if does == "hang":
        time.sleep(3600)
    if does == "wrong":
        raise RuntimeError("no such cloth")
    inputs = keras.Input(image_shape)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    if does == "nan":
        x = Fuse(24)(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x))
'''


def own(*does: str, hang_seconds: float = HANG_SECONDS, memory: float = MEMORY) -> str:
    Path("own_network.py").write_text(NETWORK)
    Path("own.yaml").write_text(PLUGIN % (hang_seconds, memory, ", ".join(does)))
    return "own.yaml"


def told_everywhere(study: str, state: StudyState, trial: Trial, failure: str, *reason: str) -> None:
    """The failure's kind and reason, wherever a person may look."""
    assert (trial.state, trial.failure) == ("failed", failure)
    for part in reason:
        assert part in trial.reason
    # A sentence: no traceback, no line breaks, no address in memory.
    assert "\n" not in trial.reason
    assert "0x" not in trial.reason
    assert "Traceback" not in trial.reason
    assert len(trial.reason) < 300
    number = trial.number

    status = harness("status", study).stdout
    line = next(line for line in status.splitlines() if line.startswith(f"trial {number} "))
    assert failure in line
    assert trial.reason in line
    assert trial.reason in json.loads(harness("status", study, "--json").stdout)["failures"][str(number)]

    row = next(row for row in leaderboard(study) if row["trial"] == number)
    assert row["state"] == f"failed: {failure}"
    assert row["reason"] == trial.reason
    assert trial.reason in harness("leaderboard", study).stdout

    stored = optuna.load_study(study_name=study, storage=optuna_storage()).trials[number]
    assert stored.state == optuna.trial.TrialState.FAIL
    assert (stored.user_attrs["failure"], stored.user_attrs["reason"]) == (failure, trial.reason)

    client = MlflowClient(tracking_uri())
    experiment = client.get_experiment_by_name(state.experiment.name)
    (run,) = client.search_runs(
        [experiment.experiment_id],
        f"tags.`harness.study_id` = '{state.started.study_id}' and tags.`harness.trial` = '{number}'",
    )
    assert run.info.status == "FAILED"
    assert run.data.tags["harness.failure"] == failure
    assert run.data.tags["harness.reason"] == trial.reason
    kept = Path(client.download_artifacts(run.info.run_id, "failure/traceback.txt")).read_text()
    assert kept == trial.traceback
    assert kept.strip()


def by_what_it_does(state: StudyState) -> dict[Any, Trial]:
    return {trial.params["does"]: trial for trial in state.trials.values()}


def no_epoch_told_twice(study: str) -> None:
    told = [(event["trial"], event["epoch"]) for event in events(study) if event["kind"] == "epoch_ended"]
    assert len(told) == len(set(told))


def test_a_loss_that_explodes_fails_its_trial_and_never_wins() -> None:
    Path("diverging.yaml").write_text(DIVERGING % "[0.1, 10.0]")
    harness("sweep", "diverging.yaml", "--study", "s", "--trials", "2")
    state = proven("s", 2)
    (exploded,) = [trial for trial in state.trials.values() if trial.params["learning_rate"] == 10]
    told_everywhere("s", state, exploded, "diverged", "loss was", "after epoch")
    winner = best(state)
    assert winner is not None
    assert winner.number != exploded.number
    assert winner.score is not None
    assert math.isfinite(winner.score)
    assert [row["trial"] for row in leaderboard("s")] == [winner.number, exploded.number]


def test_an_infinite_learning_rate_is_refused() -> None:
    Path("diverging.yaml").write_text(DIVERGING % "[0.1, .inf]")
    done = harness("sweep", "diverging.yaml", "--study", "s", "--trials", "2", code=2)
    assert "learning_rate" in done.stderr
    assert not events("s")


def test_where_every_trial_diverges_nothing_has_won() -> None:
    Path("diverging.yaml").write_text(DIVERGING % "[8.0, 9.0, 10.0]")
    done = harness("sweep", "diverging.yaml", "--study", "s", "--trials", "3", code=3)
    assert "No trial of s succeeded" in done.stderr
    state = proven("s", 3)
    assert best(state) is None
    status = json.loads(harness("status", "s", "--json").stdout)
    assert status["states"] == {"failed": 3}
    assert (status["best_trial"], status["best_score"]) == (None, None)
    assert "no trial is complete yet" in harness("status", "s").stdout
    board = leaderboard("s")
    assert [row["state"] for row in board] == ["failed: diverged"] * 3
    assert [row["score"] for row in board] == [None] * 3
    client = MlflowClient(tracking_uri())
    (parent,) = client.search_runs(
        [client.get_experiment_by_name("diverging").experiment_id], "tags.`harness.state` = 'complete'"
    )
    assert "best_score" not in parent.data.metrics
    assert not [name for name in parent.data.tags if name.startswith("harness.best")]
    done = harness("export", "--study", "s", "--formats", "saved_model", code=None)
    assert done.returncode != 0


def test_code_that_diverges_eats_memory_crashes_leaves_or_hangs() -> None:
    """Each kind has its own answer, the sweep goes on, and every command and store says what happened."""
    kinds = ("fine", "nan", "greedy", "greedy once", "segfault", "leave", "leave once", "hang", "wrong")
    harness("sweep", own(*kinds), "--study", "s", "--trials", "9", timeout=600)
    state = proven("s", 9)
    trials = by_what_it_does(state)

    for does in ("fine", "greedy once", "leave once"):
        assert trials[does].state == "complete", does
        assert len(trials[does].epochs) == 4
    assert trials["leave once"].attempts == 2
    # Memory: once more at half the batch, and then no more.
    assert (trials["greedy once"].attempts, trials["greedy once"].microbatches) == (2, 2)
    assert (trials["greedy"].attempts, trials["greedy"].microbatches) == (2, 2)
    for does in ("segfault", "leave", "hang"):
        assert trials[does].attempts == 3
    assert (trials["nan"].attempts, trials["wrong"].attempts) == (1, 1)
    assert list(trials["nan"].epochs) == [1, 2, 3]

    told_everywhere("s", state, trials["nan"], "diverged", "loss was nan", "after epoch 3")
    told_everywhere("s", state, trials["greedy"], "out_of_memory", "out of memory", "half the batch")
    told_everywhere("s", state, trials["segfault"], "crash", "signal SIGSEGV", "3 times")
    told_everywhere("s", state, trials["leave"], "crash", "exit status 0", "3 times")
    told_everywhere("s", state, trials["hang"], "hang", "said nothing", "3 times")
    told_everywhere("s", state, trials["wrong"], "user_code", "own_network.py:", "no such cloth")
    assert trials["nan"].score is None
    winner = best(state)
    assert winner is not None
    assert winner.state == "complete"


def test_a_worker_stopped_for_longer_than_it_may_be_silent_comes_back_too_late() -> None:
    with running("sweep", own("fine", "fine too", hang_seconds=6), "--study", "s", "--epochs", "120",
                 "--trials", "2") as sweep:  # fmt: skip
        told = until(seen("s", "epoch_ended", trial=1, epoch=3), sweep)
        started = seen("s", "segment_started", trial=1)()
        assert started is not None
        worker = sweep.workers()[started["worker"]]
        worker.send_signal(signal.SIGSTOP)
        until(seen("s", "segment_started", trial=1, attempt=2), sweep)
        time.sleep(0.2)
        with pytest.raises(psutil.NoSuchProcess):
            worker.send_signal(signal.SIGCONT)
        assert sweep.wait() == 0, sweep.stderr
    state = proven("s", 2)
    assert told["attempt"] == 1
    assert state.trials[1].attempts == 2
    assert state.trials[1].state == "complete"


def test_the_same_mistake_in_every_trial_stops_the_sweep_with_its_message() -> None:
    done = harness("sweep", own("wrong"), "--study", "s", "--trials", "40", code=3)
    assert "no such cloth" in done.stderr
    proven("s")
    assert len(leaderboard("s")) == 1
