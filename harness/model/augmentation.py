"""Augmentation of training batches inside the compiled step, never inside the saved model.

Each policy is a pure function of the batch, its strength and a seed, so that an epoch repeats bit
for bit. The strength is a tensor: a new value does not compile anything.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

MAX_SHIFT = 0.25
"""Largest shift at strength 1, as a share of the image's side."""
MAX_ROTATION = 0.35
"""Largest rotation at strength 1, in radians (20 degrees)."""
MAX_ZOOM = 0.3
"""Largest change of scale at strength 1."""
MAX_CUTOUT = 0.5
"""Side of the cut-out square at strength 1, as a share of the image's side."""
MAX_CONTRAST = 0.4
"""Largest change of contrast and of brightness (as a share of the range) at strength 1."""

Policy = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def augment(kind: str, images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One randomly changed copy of every image.

    Args:
        kind: a key of `POLICIES`.
        images: float32 (N, H, W, C), raw pixels in 0…255; or (N, T, H, W, C) of clips, all frames of each of
            which are changed alike.
        strength: float32 scalar in 0…1; 0 changes nothing, except that `flip` mirrors at any strength
            above 0.
        seed: int32 (2,), different for every step.

    Returns:
        float32 in 0…255, of the same shape.
    """
    return _of_clips(POLICIES[kind](_as_pictures(images), strength, seed), images)


def _as_pictures(images: tf.Tensor) -> tf.Tensor:
    """Images as they are; of clips (N, T, H, W, C) pictures with all frames' channels, (N, H, W, T·C)."""
    if len(images.shape) != 5:
        return images
    _, frames, height, width, channels = images.shape
    beside = tf.transpose(images, [0, 2, 3, 1, 4])
    return tf.reshape(beside, [-1, height, width, frames * channels])


def _of_clips(pictures: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """The inverse of `_as_pictures`, which was given `images`."""
    if len(images.shape) != 5:
        return pictures
    _, frames, height, width, channels = images.shape
    beside = tf.reshape(pictures, [-1, height, width, frames, channels])
    return tf.transpose(beside, [0, 3, 1, 2, 4])


def _uniform(images: tf.Tensor, seed: tf.Tensor, stream: int, low: float, high: float) -> tf.Tensor:
    """One float32 for each image; `stream` tells the random choices of one step apart."""
    own = tf.stack([seed[0], seed[1] * 16 + stream])
    return tf.random.stateless_uniform([tf.shape(images)[0]], own, low, high)


def _per_image(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, [-1, 1, 1, 1])


def _flip(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    chosen = (_uniform(images, seed, 0, 0.0, 1.0) < 0.5) & (strength > 0)
    return tf.where(_per_image(chosen), tf.reverse(images, axis=[2]), images)


def _project(images: tf.Tensor, rows: list[tf.Tensor], interpolation: str) -> tf.Tensor:
    """Move every output pixel (x, y) to the input pixel that `rows` of an affine matrix give."""
    zero = tf.zeros_like(rows[0])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([*rows, zero, zero], axis=1),
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation=interpolation,
        fill_mode="REFLECT",
    )
    return tf.ensure_shape(moved, images.shape)  # the operation forgets height and width


def _shift(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Whole-pixel shifts in both directions; what is uncovered mirrors the image."""
    height, width = images.shape[1], images.shape[2]
    dx = tf.round(_uniform(images, seed, 1, -1.0, 1.0) * strength * (MAX_SHIFT * width))
    dy = tf.round(_uniform(images, seed, 2, -1.0, 1.0) * strength * (MAX_SHIFT * height))
    one, zero = tf.ones_like(dx), tf.zeros_like(dx)
    return _project(images, [one, zero, dx, zero, one, dy], "NEAREST")


def _flip_shift(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return _shift(_flip(images, strength, seed), strength, seed)


def _affine(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Rotation, zoom and shift about the centre in one resampling."""
    height, width = images.shape[1], images.shape[2]
    angle = _uniform(images, seed, 3, -1.0, 1.0) * strength * MAX_ROTATION
    scale = 1 + _uniform(images, seed, 4, -1.0, 1.0) * strength * MAX_ZOOM
    dx = _uniform(images, seed, 1, -1.0, 1.0) * strength * (MAX_SHIFT * width / 2)
    dy = _uniform(images, seed, 2, -1.0, 1.0) * strength * (MAX_SHIFT * height / 2)
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
    return _about_centre(images, cos, -sin, sin, cos, dx, dy)


def _colour(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Contrast about each image's mean, and brightness."""
    contrast = 1 + _uniform(images, seed, 5, -1.0, 1.0) * strength * MAX_CONTRAST
    brightness = _uniform(images, seed, 6, -1.0, 1.0) * strength * (MAX_CONTRAST / 2 * 255)
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    changed = (images - mean) * _per_image(contrast) + mean + _per_image(brightness)
    return tf.clip_by_value(changed, 0.0, 255.0)


def _cutout(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A square of mid-grey, after DeVries & Taylor 2017 (arXiv:1708.04552)."""
    height, width = images.shape[1], images.shape[2]
    cx, cy = _uniform(images, seed, 7, 0.0, 1.0), _uniform(images, seed, 8, 0.0, 1.0)
    inside = _square(height, width, cx, cy, strength * (MAX_CUTOUT / 2))
    return tf.where(inside, 127.5, images)


def _strong(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirror, rotate, zoom, shift, change contrast and brightness, cut out."""
    images = _affine(_flip(images, strength, seed), strength, seed)
    return _cutout(_colour(images, strength, seed), strength, seed)


def _rotate(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    angle = _uniform(images, seed, 3, -1.0, 1.0) * strength * MAX_ROTATION
    return _about_centre(images, tf.cos(angle), -tf.sin(angle), tf.sin(angle), tf.cos(angle))


def _zoom(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    scale = 1 + _uniform(images, seed, 4, -1.0, 1.0) * strength * MAX_ZOOM
    zero = tf.zeros_like(scale)
    return _about_centre(images, scale, zero, zero, scale)


def _trivial(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One change for each image, its kind and size drawn anew (Müller & Hutter 2021, arXiv:2103.10158).

    Of nothing, mirror, shift, rotate, zoom, shear, contrast and brightness, and cut out.
    """
    kind = tf.cast(_uniform(images, seed, 9, 0.0, 8.0), tf.int32)
    size = _uniform(images, seed, 10, -1.0, 1.0) * strength
    one, zero = tf.ones_like(size), tf.zeros_like(size)
    angle = tf.where(kind == 3, size * MAX_ROTATION, 0.0)
    scale = tf.where(kind == 4, 1 + size * MAX_ZOOM, one)
    shear = tf.where(kind == 5, size * MAX_ROTATION, zero)
    across = tf.where((kind == 1) & (strength > 0), -one, one)
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
    moved = _about_centre(
        images,
        across * cos,
        shear - sin,
        sin,
        cos,
        tf.where(kind == 2, tf.round(size * (MAX_SHIFT * images.shape[2])), 0.0),
        tf.where(
            kind == 2,
            tf.round(_uniform(images, seed, 2, -1.0, 1.0) * strength * MAX_SHIFT * images.shape[1]),
            0.0,
        ),
    )
    coloured = tf.where(_per_image(kind == 6), _colour(moved, strength, seed), moved)
    return tf.where(_per_image(kind == 7), _cutout(coloured, strength, seed), coloured)


def _about_centre(
    images: tf.Tensor,
    a: tf.Tensor,
    b: tf.Tensor,
    c: tf.Tensor,
    d: tf.Tensor,
    dx: tf.Tensor | float = 0.0,
    dy: tf.Tensor | float = 0.0,
) -> tf.Tensor:
    """Resample at (a·x + b·y, c·x + d·y) + (dx, dy), measured from the centre."""
    cx, cy = (images.shape[2] - 1) / 2, (images.shape[1] - 1) / 2
    rows = [a, b, cx - a * cx - b * cy + dx, c, d, cy - c * cx - d * cy + dy]
    return _project(images, rows, "BILINEAR")


POLICIES: dict[str, Policy] = {
    "none": lambda images, _strength, _seed: images,
    "flip": _flip,
    "shift": _shift,
    "flip_shift": _flip_shift,
    "rotate": _rotate,
    "zoom": _zoom,
    "cutout": _cutout,
    "colour": _colour,
    "strong": _strong,
    "trivial": _trivial,
}
"""Policies by the value of the `augmentation` parameter."""


def mix(
    kind: str, images: tf.Tensor, truth: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Blend every image and its label with another one's of the batch.

    `mixup` after Zhang et al. 2018 (arXiv:1710.09412), `cutmix` after Yun et al. 2019
    (arXiv:1905.04899), with the other image's share drawn evenly from 0 to `strength`/2 for `mixup` and
    to `strength` for `cutmix`, so that a strength of 0 changes nothing.

    Args:
        kind: `none`, `mixup` or `cutmix`.
        images: float32 (N, H, W, C), or (N, T, H, W, C) of clips, all frames of each of which are blended
            alike.
        truth: float32 (N, K), the labels as probabilities.
        strength: float32 scalar in 0…1.
        seed: int32 (2,).

    Returns:
        Images and labels of the same shapes.
    """
    if kind == "none":
        return images, truth
    blended, truth = _mixed(kind, _as_pictures(images), truth, strength, seed)
    return _of_clips(blended, images), truth


def _mixed(
    kind: str, images: tf.Tensor, truth: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Images (N, H, W, C) and labels, blended by `mixup` or `cutmix`."""
    other = tf.argsort(_uniform(images, seed, 11, 0.0, 1.0))
    share = _uniform(images, seed, 12, 0.0, 1.0) * strength
    if kind == "mixup":
        share = share / 2
        blended = images + _per_image(share) * (tf.gather(images, other) - images)
    else:
        height, width = images.shape[1], images.shape[2]
        half = tf.sqrt(share) / 2
        cx = half + _uniform(images, seed, 13, 0.0, 1.0) * (1 - 2 * half)
        cy = half + _uniform(images, seed, 14, 0.0, 1.0) * (1 - 2 * half)
        inside = _square(height, width, cx, cy, half)
        blended = tf.where(inside, tf.gather(images, other), images)
        share = tf.reduce_mean(tf.cast(inside, tf.float32), axis=[1, 2, 3])
    return blended, truth + share[:, None] * (tf.gather(truth, other) - truth)


def _square(height: int, width: int, cx: tf.Tensor, cy: tf.Tensor, half: tf.Tensor) -> tf.Tensor:
    """Which pixels lie in a square around (cx, cy): bool (N, H, W, 1); all lengths as shares."""
    half = tf.reshape(half, [-1, 1])
    across = tf.abs((tf.range(width, dtype=tf.float32)[None, :] + 0.5) / width - cx[:, None]) < half
    down = tf.abs((tf.range(height, dtype=tf.float32)[None, :] + 0.5) / height - cy[:, None]) < half
    return down[:, :, None, None] & across[:, None, :, None]
