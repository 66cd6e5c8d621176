"""Clips inside of networks: their frames are the pictures of a larger batch, and become a sequence again.

So every layer between has the same weights for all frames, and is the stock layer that it is for images.
"""

from __future__ import annotations

import math

import keras


def apart(clips: keras.KerasTensor) -> keras.KerasTensor:
    """The frames of clips (N, T, H, W, C), as pictures (N·T, H, W, C)."""
    return keras.ops.reshape(clips, (-1, *clips.shape[2:]))


def together(by_frame: keras.KerasTensor, frames: int) -> keras.KerasTensor:
    """What was made of each frame, (N·T, F), by clip: (N, T, F)."""
    return keras.ops.reshape(by_frame, (-1, frames, by_frame.shape[1]))


def averaged(logits: keras.KerasTensor, frames: int) -> keras.KerasTensor:
    """Logits of clips whose softmax is the mean of the probabilities of their frames.

    After the averaging of Wang et al. 2016 (arXiv:1608.00859): a network that is trained with it is trained
    to classify clips, and not each of the frames.

    Args:
        logits: of the frames, (N·T, K).
        frames: of a clip, T.

    Returns:
        The logarithms of the mean probabilities, (N, K), float32.
    """
    by_clip = together(keras.ops.cast(logits, "float32"), frames)
    return keras.ops.logsumexp(keras.ops.log_softmax(by_clip, axis=-1), axis=1) - math.log(frames)
