"""A sweep with less time than a full training leaves a complete model, which is trained again the same."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from harness.paths import StudyPaths
from harness.records import Annealing
from harness.study.trial import Trial
from tests.e2e.test_reproduce import command
from tests.faults.support import events, proven, running, state_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("HARNESS_TESTS") != "full", reason="runs in make test-full"),
]

LIMITS = (15, 45, 135)
EXPERIMENT = """\
name: brief
dataset: {source: digits, limit_train: 400}
training: {epochs: 10000, precision: float32}
scheduler: {kind: asha, min_epochs: 1, reduction: 3, anneal: auto}
search: {sampler: random, workers: 1, trials: 10000}
space:
  depth: 1
  width: 8
  dropout: {type: float, low: 0.0, high: 0.3}
  optimizer: adam
  learning_rate: 0.01
"""


def annealed(study: str) -> list[Trial]:
    if not StudyPaths.of(study).log.exists():
        return []
    return [trial for trial in state_of(study).trials.values() if trial.annealing is not None]


def rates(trial: Trial) -> list[float]:
    return [trial.epochs[epoch]["learning_rate"] for epoch in sorted(trial.epochs)]


def check(trial: Trial, planned: Annealing) -> None:
    assert (trial.state, trial.annealing) == ("complete", planned)
    start, stop = planned.start, planned.stop
    assert 0 < start < stop < 10_000
    assert (trial.reached, trial.last_epoch, trial.model is not None) == (stop, stop, True)
    assert rates(trial)[:start] == pytest.approx([0.01] * start)
    assert rates(trial)[start:] == sorted(rates(trial)[start:], reverse=True)
    assert rates(trial)[-1] < 0.01 / (stop - start)


def cut_off_while_annealed() -> tuple[str, int]:
    """A sweep that was killed while a trial was annealed: the study and the trial.

    A limit that has been too short on this machine, at this load, is tried again three times as long.
    """
    for limit in LIMITS:
        study = f"brief-{limit}"
        with running("sweep", "brief.yaml", "--study", study, "--timeout", str(limit)) as sweep:
            while sweep.process.poll() is None:
                for trial in annealed(study):
                    assert trial.annealing is not None
                    if trial.annealing.start < trial.last_epoch < trial.annealing.stop - 5:
                        sweep.kill_group()
                        return study, trial.number
                time.sleep(0.05)
    raise AssertionError("no trial was annealed")


def test_a_trial_that_was_killed_while_it_was_annealed_is_complete_after_a_resume_and_trained_again() -> None:
    Path("brief.yaml").write_text(EXPERIMENT)
    study, number = cut_off_while_annealed()
    planned = state_of(study).trials[number].annealing
    assert planned is not None

    command("resume", study, "--timeout", "none", "--target", "0.01")  # which it reaches with its end

    check(proven(study).trials[number], planned)
    (stop,) = {
        event["annealing"]["stop"]
        for event in events(study)
        if event["kind"] == "segment_started" and event["trial"] == number and event["annealing"]
    }
    assert stop == planned.stop
    found = json.loads(command("reproduce", str(number), "--study", study, "--json").stdout)
    assert found["verdict"] == "identical", found
    assert found["weights"]["identical"] is True
