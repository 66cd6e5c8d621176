"""The decoder as a compiled function, traced once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

Reader = Callable[[list[bytes]], npt.NDArray[np.uint8]]
Target = tuple[int, int, int]
"""Height, width, channels."""


@cache
def _reader(height: int, width: int, channels: int, pixel_range: tuple[float, float] | None) -> Reader:
    import tensorflow as tf

    from harness.deploy.graph.decode import Target, decode_batch

    function = tf.function(
        lambda contents: decode_batch(contents, Target(height, width, channels, pixel_range)),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )
    return lambda contents: function(tf.constant(contents)).numpy()


@pytest.fixture(scope="session")
def reader() -> Callable[..., Reader]:
    """`reader(height, width, channels, pixel_range)` gives what `serving_bytes` begins with."""

    def make(
        height: int, width: int, channels: int, pixel_range: tuple[float, float] | None = None
    ) -> Reader:
        return _reader(height, width, channels, pixel_range)

    return make
