"""Networks of clips: the mean of frames' probabilities, or their order; and frames that are changed alike."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from harness.experiment.parameters import complete, multiply_adds
from harness.model.augmentation import POLICIES, augment, mix
from harness.model.families import FAMILIES
from harness.model.network import build, with_probabilities
from harness.model.preprocessing import PixelStatistics
from harness.train.cost import cost

FRAMES, HEIGHT, WIDTH = 5, 16, 12
CLIPS = np.random.default_rng(0).integers(0, 256, (6, FRAMES, HEIGHT, WIDTH, 3)).astype(np.float32)
STATISTICS = PixelStatistics((120.0, 110.0, 100.0), (60.0, 61.0, 62.0))
ON_PIXELS = [name for name, family in FAMILIES.items() if family.body is None]
OF_ORDER = [name for name in ON_PIXELS if FAMILIES[name].clips(complete({"family": name})) is not None]
OF_FRAMES = [name for name in ON_PIXELS if name not in OF_ORDER]


def network(family: str, frames: int | None) -> keras.Model:
    params = complete({"family": family, "depth": 2, "width": 8, "scaling": "standardise"})
    shape = (HEIGHT, WIDTH, 3) if frames is None else (frames, HEIGHT, WIDTH, 3)
    return build(params, shape, 4, STATISTICS)


def probabilities(model: keras.Model, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(with_probabilities(model)(inputs, training=False))


@pytest.mark.parametrize("family", OF_FRAMES)
def test_a_clip_has_the_mean_of_the_probabilities_of_its_frames(family: str) -> None:
    of_clips, of_images = network(family, FRAMES), network(family, None)
    of_images.set_weights(of_clips.get_weights())
    alone = probabilities(of_images, CLIPS.reshape(-1, HEIGHT, WIDTH, 3)).reshape(len(CLIPS), FRAMES, 4)
    together = probabilities(of_clips, CLIPS)
    np.testing.assert_allclose(together, alone.mean(axis=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", OF_ORDER)
def test_the_order_of_frames_counts(family: str) -> None:
    model = network(family, FRAMES)
    forwards, backwards = (probabilities(model, clips) for clips in (CLIPS, CLIPS[:, ::-1]))
    assert np.abs(forwards - backwards).max() > 1e-4


@pytest.mark.parametrize("family", ON_PIXELS)
def test_a_model_of_clips_is_stock_and_is_loaded_safely(family: str, tmp_path: Path) -> None:
    model = with_probabilities(network(family, FRAMES))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_allclose(loaded(CLIPS), model(CLIPS), atol=1e-6)
    assert loaded.input_shape == (None, FRAMES, HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("family", ON_PIXELS)
def test_the_cost_of_a_clip_is_counted(family: str) -> None:
    params = complete({"family": family, "depth": 1})
    counted = cost(params, (FRAMES, HEIGHT, WIDTH, 3), 4)
    estimated = multiply_adds(params, (FRAMES, HEIGHT, WIDTH, 3))
    assert estimated is not None
    assert 0.5 < estimated / counted["forward"] < 2
    if family in OF_FRAMES:
        one = cost(params, (HEIGHT, WIDTH, 3), 4)
        assert counted["forward"] == FRAMES * one["forward"]
        assert counted["parameters"] == one["parameters"]


@pytest.mark.parametrize("kind", POLICIES)
def test_all_frames_of_a_clip_are_changed_alike(kind: str) -> None:
    """A clip that stands still stands still afterwards; as for images, clips are changed differently."""
    still = np.repeat(CLIPS[:1, :1], FRAMES, axis=1)
    clips = tf.constant(np.repeat(still, 8, axis=0))
    found = augment(kind, clips, tf.constant(1.0), tf.constant([3, 1])).numpy()
    assert found.shape == clips.shape
    np.testing.assert_array_equal(found, np.repeat(found[:, :1], FRAMES, axis=1))
    assert (len({clip.tobytes() for clip in found}) > 1) == (kind != "none")
    np.testing.assert_allclose(
        augment(kind, tf.constant(CLIPS), tf.constant(0.0), tf.constant([3, 1])), CLIPS, atol=1e-3
    )


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_all_frames_of_a_clip_are_blended_alike(kind: str) -> None:
    still = tf.constant(np.repeat(CLIPS[:, :1], FRAMES, axis=1))
    truth = tf.eye(len(CLIPS))
    blended, labels = mix(kind, still, truth, tf.constant(1.0), tf.constant([3, 1]))
    np.testing.assert_array_equal(blended, np.repeat(blended.numpy()[:, :1], FRAMES, axis=1))
    np.testing.assert_allclose(labels.numpy().sum(axis=1), 1, atol=1e-6)
    assert np.abs(blended.numpy() - still.numpy()).max() > 1
