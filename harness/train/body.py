"""The part of a network that is not trained, with its weights: it makes features of pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from harness.data.arrays import Images
from harness.data.feature_store import Features, Rows
from harness.errors import PretrainedError
from harness.experiment.keys import body_key
from harness.experiment.parameters import CATALOG
from harness.experiment.rates import COMPUTED
from harness.model.augmentation import augment
from harness.model.families import FAMILIES
from harness.model.network import ImageShape, build_body, frames_in
from harness.model.parameter import is_path
from harness.records import Params

BATCH = COMPUTED
"""Images that are run through the body at a time, whatever their number: a short batch is filled up, so that
one shape is compiled and an image's features do not depend on its neighbours."""
POLICY, STRENGTH = "trivial", 0.5
"""How images are changed for the views beyond the image and its mirror image."""
VERSION = 1
"""Raised whenever the same images would get other features."""


class FrozenBody:
    """A body, ready to compute features, in float32 whatever a study's precision is."""

    def __init__(self, params: Params, image_shape: ImageShape, weights: str = "") -> None:
        """Build it and load its weights.

        Args:
            params: complete parameters of a family with a body.
            image_shape: height, width, channels of the raw images; of clips, before them the frames.
            weights: SHA-256 (hex) that they must have; empty: any.

        Raises:
            HarnessError: the weights are not to be had, or are others.
        """
        body, key = FAMILIES[str(params["family"])].body, body_key(params)
        assert body is not None
        assert key is not None
        self.name = key
        self.model: keras.Model = build_body(params, image_shape)
        body.load(self.model, params)
        found = body.fingerprint(params)  # only now: a file that is replaced meanwhile is noticed
        if weights not in ("", found):
            raise PretrainedError(
                f"The weights of {key} have changed since the study began (the SHA-256 was {weights}, and is "
                f"{found}). Put the former file back, or start a new study."
            )
        # A model of one's own is the same under another path.
        named = [f"{name}={params[name]}" for name in body.parameters if not _is_own(name, params)]
        self.key = f"v{VERSION} {' '.join(named)} {found} {image_shape}"
        """All that decides an image's features but the image."""
        self.features = int(self.model.output_shape[1])
        """How many features an image has, or all frames of a clip together."""
        self._at_a_time = max(1, BATCH // max(1, frames_in(image_shape)))
        """Images or clips that are run through it at a time."""
        self._run = tf.function(lambda images: self.model(images, training=False), autograph=False)

    def digest(self, data: str, views: int) -> str:
        """What all features of a data set are recognised by: SHA-256 (hex).

        Args:
            data: the digest of the data set.
            views: of every training image.
        """
        return hashlib.sha256(f"{self.key} {data} {views}".encode()).hexdigest()

    def compute_one(self, images: Images) -> Features:
        """Features of images as they are, float32 (n, F), in a batch of their own: for measuring."""
        return np.asarray(self._run(images.astype(np.float32)))

    def compute(self, images: Images, rows: Rows, view: int = 0) -> Features:
        """Features of at most `BATCH` images, float32 (n, F).

        Args:
            images: uint8 (n, H, W, C), or (n, T, H, W, C) of clips.
            rows: int64 (n,), what tells the images apart: an image is changed for a view by its own number.
            view: 0: the image; 1: its mirror image; above: changed at random.
        """
        with _whole_float32():
            seen = _view(images, rows, view)
            parts = [self._few(seen[i : i + self._at_a_time]) for i in range(0, len(seen), self._at_a_time)]
            return np.concatenate(parts)

    def _few(self, seen: Features) -> Features:
        filled = np.resize(seen, (self._at_a_time, *seen.shape[1:]))
        return np.asarray(self._run(filled))[: len(seen)]


def _view(images: Images, rows: Rows, view: int) -> Features:
    pixels = images.astype(np.float32)
    if view == 0:
        return pixels
    if view == 1:
        return pixels[..., ::-1, :]
    seeds = [tf.constant([view, row], tf.int32) for row in rows.tolist()]
    changed = [
        augment(POLICY, tf.constant(pixels[i : i + 1]), tf.constant(STRENGTH), seed)
        for i, seed in enumerate(seeds)
    ]
    return np.concatenate(changed)


@contextmanager
def _whole_float32() -> Iterator[None]:
    """GPUs compute with all digits of float32, and not with the ten bits of TensorFloat-32, their default."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def _is_own(name: str, params: Params) -> bool:
    """Whether a parameter's value is the path of a model of one's own."""
    return CATALOG[name].paths and is_path(str(params[name]))


def find_weights(params: Params) -> str:
    """Fetch the weights of a configuration's body, if need be, and check them.

    Args:
        params: complete parameters of a family with a body.

    Returns:
        Their SHA-256 (hex).

    Raises:
        HarnessError: the weights are not to be had.
    """
    body = FAMILIES[str(params["family"])].body
    assert body is not None
    return body.fingerprint(params)
