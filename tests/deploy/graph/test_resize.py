"""Resizing in the graph gives the integers that Pillow gives."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.deploy.graph.resize import resize

pytestmark = pytest.mark.slow

Pixels = npt.NDArray[np.uint8]
SIZES = [(16, 16), (33, 20), (1, 1), (7, 90)]
sides = st.integers(1, 900)


@cache
def resized(size: tuple[int, int]) -> Callable[[Pixels], Pixels]:
    function = tf.function(
        lambda image: resize(image, size),
        input_signature=[tf.TensorSpec((None, None, None), tf.uint8)],
        autograph=False,
    )
    return lambda image: function(image).numpy()


def by_pillow(image: Pixels, size: tuple[int, int]) -> Pixels:
    picture = Image.fromarray(image)
    wanted = (size[1], size[0])
    if picture.size != wanted:
        picture = picture.resize(wanted, Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(picture)


@settings(max_examples=120, deadline=None)
@given(size=st.sampled_from(SIZES), height=sides, width=sides, seed=st.integers(0, 99), harsh=st.booleans())
@example(size=(16, 16), height=20, width=5000, seed=0, harsh=True)
@example(size=(16, 16), height=5000, width=20, seed=0, harsh=True)
@example(size=(16, 16), height=16, width=16, seed=0, harsh=False)
@example(size=(33, 20), height=198, width=796, seed=0, harsh=True)
@example(size=(33, 20), height=1, width=1, seed=0, harsh=False)
@example(size=(7, 90), height=84, width=1080, seed=0, harsh=True)
def test_every_pixel_is_the_same(
    size: tuple[int, int], height: int, width: int, seed: int, harsh: bool
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    if harsh:
        image = np.where(image > 127, 255, 0).astype(np.uint8)
    np.testing.assert_array_equal(resized(size)(image), by_pillow(image, size))


def test_grey_pictures_keep_their_one_channel() -> None:
    image = np.random.default_rng(0).integers(0, 256, (210, 301, 1)).astype(np.uint8)
    found = resized((16, 16))(image)
    assert found.shape == (16, 16, 1)
    np.testing.assert_array_equal(found[..., 0], by_pillow(image[..., 0], (16, 16)))
