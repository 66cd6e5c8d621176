"""Clips by the commands a user types: swept, verified, reproduced, confirmed; and what does not take them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.study.opening import open_study
from tests.clips import draw_motions
from tests.e2e.test_sweep import harness

pytestmark = pytest.mark.slow

EXPERIMENT = """
name: motions
dataset: {source: motions, frames: 4, color: grey}
training: {epochs: 2, precision: float32}
scheduler: {kind: none}
space: {family: rnn, depth: 1, width: 8, augmentation: shift, batch_size: 8}
"""


def test_a_sweep_over_clips() -> None:
    draw_motions(Path("motions"), 20, frames=5, side=12)
    Path("motions.yaml").write_text(EXPERIMENT, encoding="utf-8")
    assert "40 train clips, 2 classes" in harness("plan", "motions.yaml").stdout
    done = harness("sweep", "motions.yaml", "--trials", "1", "--workers", "1", "--study", "s")
    assert "28 train, 6 validation, 6 test clips of 4 frames of 12×12×1, 2 classes" in done.stderr
    harness("verify", "s")
    _, state = open_study("s")
    dataset, trial = state.started.dataset, state.trials[0]
    assert (dataset.frames, dataset.image_shape) == (4, (12, 12, 1))
    assert sum(map(sum, trial.shown_evaluations[0].confusion)) == dataset.counts["validation"] == 6
    assert "identical, to the last bit" in harness("reproduce", "0", "--study", "s").stdout
    found = json.loads(harness("confirm", "s", "--as-is", "--json").stdout)
    assert sum(map(sum, found["test"]["confusion"])) == dataset.counts["test"] == 6

    assert "Models of clips are not exported yet" in harness("export", "s", code=1).stderr
    for command in ("init", "sweep"):
        refused = harness(command, "motions", "--set", "dataset.frames=4", code=1).stderr
        assert "No experiment is proposed for clips yet" in refused
    assert "these are clips" in harness("audit", "motions", "--set", "dataset.frames=4", code=1).stderr
