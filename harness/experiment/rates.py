"""What training asks of a processor, in a few kinds of work, and how long a processor takes for each.

After the roofline model: a step takes the time of its multiply-adds and of its bytes, and beside them what
does not grow with the batch. All is linear in the rates: a few measured networks are enough to fit them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

from harness.experiment.parameters import applies
from harness.records import Cost, Params, Precision

TRAINING_PASSES = 3
"""How often a training step runs through layers and activations, where a prediction does once: forward,
gradients of the weights, gradients of the activations."""
PREDICTED = 512
"""The most images that are predicted at a time."""
COMPUTED = 16
"""Images whose features are computed at a time."""
GATHERED = 2.0
"""What it takes to gather a number of an image and to make a float of it, in the unit of `CHANGED`."""
CHANGED = {
    "none": 0.0, "flip": 5.0, "shift": 9.0, "flip_shift": 13.0, "rotate": 14.0, "zoom": 14.0, "cutout": 4.0,
    "colour": 2.0, "strong": 23.0, "trivial": 25.0, "mixup": 2.0, "cutmix": 5.0,
}  # fmt: skip
"""What augmentations and mixings take for a number of an image: nanoseconds where they were measured."""
UPDATED = {
    "sgd": 0.6, "momentum": 1.5, "nesterov": 1.8, "adagrad": 1.8, "rmsprop": 2.1, "adam": 3.0, "adamw": 3.3,
    "lion": 2.1,
}  # fmt: skip
"""What an optimizer's update takes for each layer, over what predicting takes there beside the arithmetic."""
DESCENTS = 200
"""Rounds of coordinate descent of a fit."""
RIDGE = 0.02
"""How much a fit holds on to the expected proportions: this many measurements with a relative error of 1."""
LEAST_RATIO = 0.05
"""The least of the expected rate that a fit may make of one, over the whole machine's ratio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How much there is to do, by kind."""

    steps: float
    """Batches."""
    operations: float
    """Layers that a batch runs through."""
    iterations: float
    """Steps of recurrent loops."""
    multiply_adds: float
    bytes: float
    """Of activations."""
    parameters: float
    """Weights that are updated."""
    pixels: float
    """Numbers of images that are gathered and augmented, in the unit of `CHANGED`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Seconds for one unit of each kind of work; the fields are those of `Work`."""

    steps: float
    operations: float
    iterations: float
    multiply_adds: float
    bytes: float
    parameters: float
    pixels: float

    def times(self, number: float) -> Rates:
        """Rates so many times as high: of a processor that much slower."""
        return Rates(**{kind: number * getattr(self, kind) for kind in KINDS})

    def seconds(self, work: Work) -> float:
        """How long the work takes."""
        return math.fsum(rate * amount for rate, amount in zip(astuple(self), astuple(work), strict=True))


DEFAULT_RATES: dict[Precision, Rates] = {
    "float32": Rates(
        steps=5e-5,
        operations=1.1e-5,
        iterations=5e-5,
        multiply_adds=1.2e-11,
        bytes=2.3e-10,
        parameters=9e-9,
        pixels=6e-10,
    ),
    "bfloat16": Rates(
        steps=5e-5,
        operations=1.4e-5,
        iterations=5e-5,
        multiply_adds=5e-12,
        bytes=1.5e-10,
        parameters=9e-9,
        pixels=6e-10,
    ),
}
"""By precision, of one thread of a server's processor of 2023; others have about the same proportions."""

KINDS = tuple(field.name for field in fields(Work))
"""Names of the kinds of work."""


def batches(params: Params, images: int, epoch_images: int | None = None) -> tuple[int, int]:
    """How many batches an epoch has, and images in each (see `harness.train.batching`).

    Args:
        params: complete parameters.
        images: of the training split.
        epoch_images: images in an epoch; None: as many as there are.
    """
    used = epoch_images or max(1, round(float(params["train_fraction"]) * images))
    steps = -(-used // int(params["batch_size"]))
    return steps, -(-used // steps)


def training_step(params: Params, cost: Cost, images: int) -> Work:
    """The work of one training step.

    Args:
        params: complete parameters.
        cost: of the network.
        images: in the batch.
    """
    changed = sum(CHANGED[str(params[name])] for name in ("augmentation", "mixing") if applies(name, params))
    return Work(
        steps=1.0,
        operations=(TRAINING_PASSES + UPDATED[str(params["optimizer"])]) * cost.operations,
        iterations=TRAINING_PASSES * cost.iterations,
        multiply_adds=images * cost.multiply_adds,
        bytes=images * (cost.written_bytes + (TRAINING_PASSES - 1) * cost.kept_bytes),
        parameters=cost.trained,
        pixels=images * cost.pixels * (GATHERED + changed),
    )


def prediction(cost: Cost, images: int) -> Work:
    """The work of predicting so many images, in batches of `PREDICTED`."""
    steps = -(-images // PREDICTED)
    return Work(
        steps=float(steps),
        operations=steps * cost.operations,
        iterations=steps * cost.iterations,
        multiply_adds=images * cost.forward,
        bytes=images * cost.written_bytes,
        parameters=0.0,
        pixels=images * cost.pixels * GATHERED,
    )


def features(cost: Cost, images: int) -> Work:
    """The work of computing the features of so many images, in batches of `COMPUTED`."""
    steps = -(-images // COMPUTED)
    return Work(
        steps=float(steps),
        operations=steps * cost.body_operations,
        iterations=0.0,
        multiply_adds=images * cost.body_forward,
        bytes=images * cost.body_bytes,
        parameters=0.0,
        pixels=0.0,
    )


def fitted(measured: Sequence[tuple[Work, float]], expected: Rates) -> Rates:
    """The rates that explain measured seconds best, by their relative errors.

    A few networks cannot tell all rates apart; what they leave open keeps the proportions of `expected`
    (ridge regression on the ratios to it, none of them negative).

    Args:
        measured: work, and the seconds that it took.
        expected: rates of about the right proportions.
    """
    kinds = [getattr(expected, kind) for kind in KINDS]
    rows = [
        [rate * amount / seconds for rate, amount in zip(kinds, astuple(work), strict=True)]
        for work, seconds in measured
    ]
    scale = sorted(1 / sum(row) for row in rows)[len(rows) // 2]
    rows = [[scale * value for value in row] for row in rows]
    ratios = [1.0] * len(KINDS)
    for _ in range(DESCENTS):
        for k in range(len(KINDS)):  # the best ratio for this kind while the others stay as they are
            own = [row[k] for row in rows]
            left = [1 - _dot(row, ratios) + row[k] * ratios[k] for row in rows]
            best = (RIDGE + _dot(own, left)) / (RIDGE + _dot(own, own))
            ratios[k] = max(LEAST_RATIO, best)
    return Rates(
        **{kind: scale * ratio * rate for kind, ratio, rate in zip(KINDS, ratios, kinds, strict=True)}
    )


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
