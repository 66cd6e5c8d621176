"""Training on clips: what their order tells, and features of frames that are computed once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.parameters import complete
from harness.model.preprocessing import PixelStatistics
from harness.predictions import softmax
from harness.records import Dataset, EpochEnded
from harness.train.body import BATCH, FrozenBody
from harness.train.features import features_of
from harness.train.program import Program
from harness.train.pulses import unheard
from tests.clips import draw_motions
from tests.train.one_worker import Worker

FRAMES = 6


@pytest.fixture(scope="module")
def motions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    """Dots that move to the left or to the right, 250 clips each."""
    folder = tmp_path_factory.mktemp("motions")
    config = DatasetConfig(
        source=str(draw_motions(folder / "motions", 250, FRAMES)),
        frames=FRAMES,
        color="grey",
        test_fraction=0,
        validation_fraction=0.25,
    )
    yield prepare(config, seed=0, progress=lambda *_: None, cache=folder / "cache")


def accuracy(motions: Dataset, folder: Path, epochs: int, **params: bool | float | str) -> float:
    """What a trial reaches in its last epoch in validation, of a half, which is chance."""
    worker = Worker(motions, folder, complete({"batch_size": 15, "augmentation": "shift"} | params), epochs)
    worker.run()
    last = worker.of_kind(EpochEnded)[-1]
    assert isinstance(last, EpochEnded)
    return last.metrics["val_accuracy"]


@pytest.mark.slow
def test_motion_is_told_by_the_order_of_frames_alone(motions: Dataset, tmp_path: Path) -> None:
    in_order = accuracy(motions, tmp_path / "rnn", 14, family="rnn", depth=1, learning_rate=3e-3)
    averaged = accuracy(motions, tmp_path / "cnn", 3, family="cnn", depth=2, width=8)
    assert in_order >= 0.9
    assert 0.35 < averaged < 0.65


@pytest.mark.slow
@pytest.mark.parametrize("order", ["none", "gru"])
def test_a_head_reads_the_features_of_each_frame(order: str) -> None:
    """They are those of the frame alone, and the model that is saved makes and reads them itself."""
    shape = (3, 16, 16, 3)
    params = complete({"family": "pretrained", "image_size": 32, "views": 1, "order": order})
    body, alone = FrozenBody(params, shape), FrozenBody(params, shape[1:])
    clips = np.random.default_rng(0).integers(0, 256, (BATCH // 2, *shape)).astype(np.uint8)
    features = features_of(clips, body, unheard)
    frames = features_of(clips.reshape(-1, *shape[1:]), alone, unheard)
    np.testing.assert_allclose(features, frames.reshape(len(clips), -1), rtol=1e-4, atol=1e-4)
    mirrored = body.compute(clips[:2], np.arange(2), view=1)
    np.testing.assert_allclose(
        mirrored, features_of(clips[:2, :, :, ::-1], body, unheard), rtol=1e-4, atol=1e-4
    )
    assert body.compute(clips[:2], np.arange(2), view=2).shape == (2, body.features)

    program = Program(params, shape, 4, PixelStatistics((127.0,) * 3, (60.0,) * 3), body=body)
    program.reset(1, dropout=0.1)
    logits = program.predict(features)
    program.stock_part.set_weights(program.network.get_weights())
    whole = program.stock_network.predict_on_batch(clips[:4].astype(np.float32))
    np.testing.assert_allclose(whole, softmax(logits[:4]), rtol=1e-3, atol=1e-4)
    backwards = program.predict(features.reshape(-1, 3, alone.features)[:, ::-1].reshape(features.shape))
    assert np.allclose(backwards, logits, atol=1e-4) == (order == "none")
