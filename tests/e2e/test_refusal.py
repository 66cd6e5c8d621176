"""A real sweep with a time limit begins only what can be trained in time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.test_sweep import harness

pytestmark = pytest.mark.slow

EXPERIMENT = """
name: halves
dataset: {source: digits}
training: {epochs: 3, precision: float32}
scheduler: {kind: asha, min_epochs: 1}
search: {trials: 5, sampler: random, workers: 1, timeout: 120}
space:
  width: [4, 6, 480, 512]
  depth: 3
  convs: 3
  kernel_size: 7
  head: global
  dropout: {type: float, low: 0.0, high: 0.3}
start_with: [{width: 6}, {width: 512}]
"""


def test_the_dear_half_of_a_space_is_not_begun() -> None:
    """Which takes thousands of times as long as the other half, so it is the same on every machine."""
    Path("halves.yaml").write_text(EXPERIMENT, encoding="utf-8")
    done = harness("sweep", "halves.yaml", "--study", "halves")
    assert "halves: all 5 trials have ended" in done.stderr
    assert "Configuration 2 of `start_with` is not begun" in done.stderr
    board = json.loads(harness("leaderboard", "halves", "--json").stdout)
    assert {row["width"] for row in board} <= {4, 6}
    assert len(board) == 5
    refused = json.loads(harness("status", "halves", "--json").stdout)["refused"]
    assert refused
    for sentence in refused:
        assert "not begun because" in sentence
        assert "in time" in sentence
        assert sentence in done.stderr
    harness("verify", "halves")
    assert "can be resumed" not in harness("status", "halves").stdout
