"""Augmentation keeps shape and range, repeats by seed, and does nothing at strength 0."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from harness.experiment.parameters import AUGMENTATIONS
from harness.model.augmentation import POLICIES, augment, mix

IMAGES = np.random.default_rng(0).integers(0, 256, (16, 12, 10, 3)).astype(np.float32)


def run(kind: str, strength: float, seed: int, images: np.ndarray = IMAGES) -> np.ndarray:
    """As in training: inside a graph that does not know how many images there are."""
    spec = tf.TensorSpec((None, *images.shape[1:]), tf.float32)
    compiled = tf.function(lambda batch: augment(kind, batch, tf.constant(strength), tf.constant([seed, 1])))
    return np.asarray(compiled.get_concrete_function(spec)(tf.constant(images)))


def test_the_catalog_names_every_policy_and_no_other() -> None:
    assert tuple(POLICIES) == AUGMENTATIONS


@pytest.mark.parametrize("kind", POLICIES)
def test_shape_and_range_are_kept(kind: str) -> None:
    for strength in (0.0, 0.3, 1.0):
        found = run(kind, strength, 3)
        assert found.shape == IMAGES.shape
        assert found.dtype == np.float32
        assert found.min() >= 0
        assert found.max() <= 255


@pytest.mark.parametrize("kind", POLICIES)
def test_strength_zero_changes_nothing(kind: str) -> None:
    np.testing.assert_allclose(run(kind, 0.0, 3), IMAGES, atol=1e-3)


@pytest.mark.parametrize("kind", [kind for kind in POLICIES if kind != "none"])
def test_the_seed_decides_and_images_differ(kind: str) -> None:
    same = np.repeat(IMAGES[:1], 16, axis=0)
    found = run(kind, 1.0, 3, same)
    np.testing.assert_array_equal(found, run(kind, 1.0, 3, same))
    assert not np.array_equal(found, run(kind, 1.0, 4, same))
    assert len({image.tobytes() for image in found}) > 1


@pytest.mark.parametrize("kind", ["none", "mixup", "cutmix"])
def test_mixing_blends_labels_as_it_blends_pixels(kind: str) -> None:
    """Image i is all i: the share of the other image can be read off the pixels."""
    values = np.arange(16, dtype=np.float32)
    images = np.broadcast_to(values[:, None, None, None], (16, 12, 10, 1)).copy()
    truth = np.eye(16, dtype=np.float32)
    for strength in (0.0, 0.4, 1.0):
        mixed, labels = mix(
            kind, tf.constant(images), tf.constant(truth), tf.constant(strength), tf.constant([3, 1])
        )
        mixed, labels = np.asarray(mixed), np.asarray(labels)
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), labels @ values, atol=1e-4)
        if strength == 0 or kind == "none":
            np.testing.assert_array_equal(mixed, images)
            np.testing.assert_array_equal(labels, truth)
        else:
            assert not np.array_equal(labels, truth)
        if kind == "mixup":
            assert (np.diag(labels) >= 0.5).all()


def test_flip_mirrors_left_and_right_only() -> None:
    found = run("flip", 1.0, 3)
    mirrored = IMAGES[:, :, ::-1]
    kept = [np.array_equal(found[i], IMAGES[i]) for i in range(16)]
    turned = [np.array_equal(found[i], mirrored[i]) for i in range(16)]
    assert all(a or b for a, b in zip(kept, turned, strict=True))
    assert any(kept)
    assert any(turned)


def test_shift_moves_whole_pixels() -> None:
    ramp = np.broadcast_to(np.arange(10, dtype=np.float32)[None, None, :, None], (16, 12, 10, 1)).copy()
    found = run("shift", 1.0, 3, ramp)
    assert set(np.unique(found)) <= set(range(10))
    for image in found:
        steps = np.diff(image[0, :, 0])
        assert set(np.abs(steps)) <= {0.0, 1.0}
