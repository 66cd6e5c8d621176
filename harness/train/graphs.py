"""How TensorFlow compiles graphs: rewritten before they run, and by XLA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def rewrite_graphs(wanted: bool) -> None:
    """Whether TensorFlow rewrites a graph before it first runs, to make it faster.

    On a CPU that takes a quarter of the time of compiling, and feed-forward networks are no faster for it:
    oneDNN's kernels take nearly all of their time. Loops inside layers are.
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not wanted})


def fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled by XLA to few kernels."""
    compiled: Callable[..., Any] = tf.function(function, autograph=False, jit_compile=True)
    return compiled
