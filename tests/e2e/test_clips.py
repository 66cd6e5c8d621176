"""Clips by the commands a user types: looked at, swept, verified, confirmed, exported, classified."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.experiment.load import load
from harness.serving.bundle import open_bundle
from harness.serving.predictor import predictor
from harness.study.opening import open_study
from tests.clips import draw_motions
from tests.e2e.test_sweep import harness

pytestmark = pytest.mark.slow

ABOUT_IMAGES = ("and no other images", "checks of images alone")
"""What is said of images where the data set is one of clips, and is meant so."""
EXPERIMENT = """
name: motions
dataset: {source: motions, frames: 4, color: grey}
training: {epochs: 2, precision: float32}
scheduler: {kind: none}
space: {family: rnn, depth: 1, width: 8, augmentation: shift, batch_size: 8}
"""


def said(*arguments: str) -> str:
    """What a command says, which calls a clip nothing but that."""
    done = harness(*arguments)
    text = done.stdout + done.stderr
    left = re.sub("|".join(ABOUT_IMAGES), "", text)
    assert not re.search(r"\bimages?\b", left), text
    return text


def test_a_sweep_over_clips() -> None:
    draw_motions(Path("motions"), 20, frames=5, side=12)
    Path("motions.yaml").write_text(EXPERIMENT, encoding="utf-8")
    assert "40 train clips, 2 classes" in harness("plan", "motions.yaml").stdout
    done = said("sweep", "motions.yaml", "--trials", "1", "--workers", "1", "--study", "s")
    assert "28 train, 6 validation, 6 test clips of 4 frames of 12×12×1, 2 classes" in done
    said("verify", "s")
    assert "over other clips" in said("show", "0", "--study", "s")
    _, state = open_study("s")
    dataset, trial = state.started.dataset, state.trials[0]
    assert (dataset.frames, dataset.image_shape) == (4, (12, 12, 1))
    assert sum(map(sum, trial.shown_evaluations[0].confusion)) == dataset.counts["validation"] == 6
    assert "identical, to the last bit" in harness("reproduce", "0", "--study", "s").stdout
    found = json.loads(harness("confirm", "s", "--as-is", "--json").stdout)
    assert sum(map(sum, found["test"]["confusion"])) == dataset.counts["test"] == 6

    results = json.loads(harness("predict", "s", "motions", "--json").stdout)
    assert results["agreement"]["files"] == 40
    assert "32 clips (p95)" in said("export", "s", "--formats", "saved_model")
    model = predictor(open_bundle(Path("exports/s-trial-00000")))
    assert model.example_shape == (4, 12, 12, 1)
    clips = [model.prepare(Path(one["file"]).read_bytes()) for one in results["results"]]
    best = model.predict(np.stack(clips)).max(axis=1)
    np.testing.assert_allclose(best, [one["probability"] for one in results["results"]], atol=1e-4)


def test_a_folder_of_clips_is_enough() -> None:
    draw_motions(Path("motions"), 20, frames=5, side=12)
    proposed = said("init", "motions")
    assert "found  motions: 40 clips in 2 classes of 20, colour, 12×12 pixels" in proposed
    assert (
        "dataset.frames 8: These are clips, videos or animations, and no other images: of each, 8 frames"
        in proposed
    )
    assert load("motions.yaml").dataset.frames == 8
    assert "40 train clips, 2 classes" in harness("plan", "motions").stdout
    shutil.copy("motions/left/000.gif", "motions/left/again.gif")
    Path("motions/left/notes.txt").touch()
    audited = said("audit", "motions")
    assert "motions: 41 clips, 2 classes, seen as 8×12×12×" in audited
    assert "a frame is taken more than once" in audited
