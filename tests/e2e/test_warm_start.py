"""A sweep on the digits that learns from an earlier one, is resumed without it, and keeps its priors."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.paths import StudyPaths
from harness.records import StudyStarted
from harness.study.event_log import read
from harness.study.state import fold
from harness.sweeping.parts import make_sampler
from tests.e2e.test_search import harness

pytestmark = pytest.mark.slow

MINE = """
name: mine
dataset: {source: digits, limit_train: 300}
training: {epochs: 1, precision: float32}
scheduler: {kind: none}
search: {ordered: true}
space:
  depth: 1
  width: [4, 8]
  learning_rate: {type: float, low: 1e-4, high: 1e-1, log: true}
  l2: {type: float, low: 1e-6, high: 1e-2, log: true, prior: {center: 1e-4, spread: 2}}
"""


def test_a_sweep_learns_from_an_earlier_one_and_goes_on_without_it() -> None:
    Path("mine.yaml").write_text(MINE)
    harness("sweep", "mine.yaml", "--trials", "8", "--study", "first", "--workers", "1")
    damaged = StudyPaths.of("damaged")
    shutil.copytree(StudyPaths.of("first").folder, damaged.folder)
    damaged.log.write_bytes(damaged.log.read_bytes().replace(b"width", b"wodth", 5))

    automatic = ("--set", "search.warm_start=auto", "--workers", "1")
    done = harness("sweep", "mine.yaml", "--trials", "3", "--study", "second", *automatic)
    assert "learned from the best 3 of 8 trials of first (the same data)" in done.stderr
    assert "passed over damaged (it cannot be read" in done.stderr
    for name in ("first", "damaged"):
        shutil.rmtree(StudyPaths.of(name).folder)
    done = harness("resume", "second", "--trials", "6")
    assert "warm start" not in done.stderr

    records = read(StudyPaths.of("second").log)
    sessions = [one.event for one in records if isinstance(one.event, StudyStarted)]
    assert [session.warm_start is not None for session in sessions] == [True, False]
    state = fold(records)
    assert len(state.trials) == 6
    # One worker in order: whoever asks with what was recorded is told the same.
    sampler = make_sampler(state.experiment, state.warm_start)
    for number, trial in state.trials.items():
        suggestion = sampler.ask(number)
        assert suggestion is not None
        assert suggestion.params == trial.params
        assert trial.values is not None
        sampler.finish(number, "complete", trial.values, state.scores(trial, trial.reached))
