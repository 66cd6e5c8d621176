"""A network that is trained from scratch: what is decided for it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

from harness.experiment.parameters import complete, multiply_adds
from harness.model.families.parameters import MAX_FILTERS
from harness.proposal.decision import (
    BY_ORDER,
    LARGEST_SIDE,
    NO_MIRRORS,
    Decision,
    fitted,
    in_words,
    start_of,
)
from harness.proposal.frame import Division, balance, rungs, timeout
from harness.proposal.means import Means
from harness.proposal.survey import Survey
from harness.records import Params

SIDES = (96, 64, 48, 32)
"""Longer sides that larger images are brought to, the largest affordable one is taken."""
ELONGATED = 3
"""How many times as long as wide pictures are that are brought to more than that."""
EPOCHS = 27
FIRST_RUNG, REDUCTION = 1, 3
PASSES = 3
"""What training costs for each prediction: forward, gradients of weights and gradients of activations."""
EPOCH_IMAGES = (10_000, 2_500)
"""Images that make an epoch at most: as many as can be afforded."""
TIMEOUT = 1800.0
"""Seconds of a search."""
SHARE = 0.5
"""The share of the time limit that a full training of the dearest configuration may take."""
TRIALS = 50
SMALL = 5_000
"""Training images below which batches are small and dropout is strong."""
SMALL_BATCHES, BATCHES = [32, 64], [64, 128]


@dataclass(frozen=True, slots=True)
class _Ranges:
    """How large networks are."""

    depth: tuple[int, int]
    """Least and most blocks of a convolutional network."""
    width: tuple[int, ...]
    convs: tuple[int, int]
    residual: tuple[int, ...]
    """Widths of residual networks; empty: none."""
    recurrent: tuple[int, ...] = ()
    """Widths of recurrent networks over the frames of clips; empty: none."""

    def dearest(self, image_shape: tuple[int, ...]) -> float:
        """Multiply-adds of one image, or of a clip, in the largest network."""
        largest: list[Params] = [
            {"family": "cnn", "depth": self.depth[1], "width": self.width[-1], "convs": self.convs[1]},
        ]
        if self.residual:
            largest.append({"family": "resnet", "depth": 1, "width": self.residual[-1]})
        if self.recurrent:
            largest.append({"family": "rnn", "depth": RECURRENT_LAYERS[1], "width": self.recurrent[-1]})
        return max(multiply_adds(complete(params), image_shape) or 0.0 for params in largest)


RANGES = (
    _Ranges((2, 5), (16, 24, 32), (1, 2), (16, 24)),
    _Ranges((2, 4), (16, 24, 32), (1, 1), (16,)),
    _Ranges((2, 4), (8, 16), (1, 1), ()),
)
"""The largest first."""
RANGES_OF_CLIPS = (
    _Ranges((2, 4), (16, 24), (1, 1), (), (32, 64)),
    _Ranges((2, 3), (8, 16), (1, 1), (), (16, 32)),
)
"""The same for clips, each of whose frames goes through a network."""
RECURRENT_LAYERS = (1, 2)
"""Least and most layers of a recurrent network over frames."""


@dataclass(frozen=True, slots=True)
class _Affordable:
    """What is trained, and what the largest of it takes."""

    ranges: _Ranges
    size: tuple[int, int]
    epoch_images: int
    seconds: float
    """A full training of the dearest configuration, with folds all of its trainings."""


def decide(survey: Survey, means: Means, division: Division, limit: float | None, why: str) -> list[Decision]:
    """The keys of the experiment file that depend on the kind of network.

    Args:
        survey: of the data.
        means: the machine.
        division: how many images are trained on.
        limit: seconds that the user gives to the search, infinity if it is to have no limit; None: as many as
            it needs.
        why: why a network is trained from scratch, in sentences.
    """
    given = limit is not None and math.isfinite(limit)
    chosen = _affordable(survey, means, division, limit if given and limit else TIMEOUT)
    speed = "as measured on this machine" if means.is_measured else "by a rule of thumb, not measured here"
    space = _space(survey, division, chosen, why)
    return [
        *_image_size(survey, chosen),
        Decision(
            "training.epochs",
            EPOCHS,
            f"{_full(survey, division)} of the dearest configuration takes about {in_words(chosen.seconds)} "
            f"of one worker ({speed}).",
        ),
        *_epoch_images(survey, division, chosen),
        *rungs(division, FIRST_RUNG, REDUCTION, f"1, 3, 9 and {EPOCHS}"),
        Decision("search.trials", TRIALS),
        timeout(TIMEOUT, limit),
        *space,
        Decision(
            "start_with",
            _starts(space, chosen.ranges, small=division.train < SMALL),
            "What usually does well, the cheapest first, so that there is a good model early.",
        ),
    ]


def _affordable(survey: Survey, means: Means, division: Division, limit: float) -> _Affordable:
    """The largest images and networks whose full training takes no more than a share of the time limit."""
    given, own = survey.config.image_size, survey.whole
    sides = (
        [max(own)] if given is not None or max(own) <= SIDES[-1] else [min(side, max(own)) for side in SIDES]
    )
    found = None
    every = RANGES_OF_CLIPS if survey.frames else RANGES
    for most, ranges, side in itertools.product(EPOCH_IMAGES, every, dict.fromkeys(sides)):
        size, images = fitted(own, _longest(own, side)), min(division.train, most)
        work = PASSES * EPOCHS * images * ranges.dearest(survey.example_shape(size)) * division.trainings
        found = _Affordable(ranges, size, images, work / means.training)
        if found.seconds <= SHARE * limit:
            return found
    assert found is not None, "there is always a smallest one"
    return found


def _full(survey: Survey, division: Division) -> str:
    if not division.folds:
        return "A full training"
    return f"Training {division.folds} folds, and once on all {survey.noun}s,"


def _longest(size: tuple[int, int], side: int) -> int:
    """The longer side, in pixels, to which pictures of a size are brought where `side` is usual.

    Of elongated ones little would be left on the shorter side. So they are brought to more, as far as the
    shorter side is below a part of `side`, and the area, by which costs go, below that of a square of `side`.

    Args:
        size: height and width in pixels, the longer one at least `side`.
        side: in pixels.
    """
    long, proportion = min(LARGEST_SIDE, max(size)), max(size) / min(size)
    return max(side, int(min(long, side * proportion / ELONGATED, side * math.sqrt(proportion))))


def _image_size(survey: Survey, chosen: _Affordable) -> list[Decision]:
    if "image_size" in survey.config.model_fields_set:
        return []
    own = f"{survey.size[0]}×{survey.size[1]}"
    reason = (
        f"The {survey.noun}s' own height and width ({own})."
        if chosen.size == survey.size
        else f"Height and width to which {survey.pictures} are decoded, once: in the proportions of a "
        f"typical one ({own}); larger ones would cost more than they are likely to bring."
    )
    return [Decision("dataset.image_size", list(chosen.size), reason)]


def _epoch_images(survey: Survey, division: Division, chosen: _Affordable) -> list[Decision]:
    if chosen.epoch_images >= division.train:
        return []
    return [
        Decision(
            "training.epoch_images",
            chosen.epoch_images,
            f"So many of the {division.train:,} {survey.noun}s make an epoch, and the next one goes on with "
            "others: trials are compared earlier.",
        )
    ]


def _space(survey: Survey, division: Division, chosen: _Affordable, why: str) -> list[Decision]:
    ranges, small = chosen.ranges, division.train < SMALL
    families = ["cnn"]
    if ranges.residual:
        families.append("resnet")
    if ranges.recurrent:
        families.insert(0, "rnn")
        why = f"{why} {BY_ORDER}"
    only_cnn = {"when": {"family": "cnn"}} if len(families) > 1 else {}
    depth: Any = {"type": "int", "low": ranges.depth[0], "high": ranges.depth[1], **only_cnn}
    width: Any = {"type": "categorical", "choices": list(ranges.width), **only_cnn}
    if ranges.residual:
        only_resnet = {"when": {"family": "resnet"}}
        depth = [depth, {"type": "constant", "value": 1, **only_resnet}]
        width = [width, {"type": "categorical", "choices": list(ranges.residual), **only_resnet}]
    if ranges.recurrent:
        only_rnn, (least, most) = {"when": {"family": "rnn"}}, RECURRENT_LAYERS
        depth = [depth, {"type": "int", "low": least, "high": most, **only_rnn}]
        width = [width, {"type": "categorical", "choices": list(ranges.recurrent), **only_rnn}]
    found = [
        Decision("space.family", families if len(families) > 1 else "cnn", why),
        Decision("space.depth", depth),
        Decision(
            "space.width", width, f"The dearest of them is what is affordable; up to {MAX_FILTERS} work."
        ),
    ]
    if ranges.convs[1] > 1:
        low, high = ranges.convs
        found.append(Decision("space.convs", {"type": "int", "low": low, "high": high, **only_cnn}))
    return [
        *found,
        Decision("space.dropout", {"type": "float", "low": 0.0, "high": 0.5 if small else 0.2}),
        Decision("space.label_smoothing", [0.0, 0.1]),
        _augmentation(survey),
        Decision("space.augmentation_strength", {"type": "float", "low": 0.2, "high": 0.8}),
        *balance(survey),
        Decision("space.optimizer", ["adamw", "nesterov"]),
        Decision("space.learning_rate", "auto", "A range of its own for each optimizer."),
        Decision(
            "space.weight_decay",
            {"type": "float", "low": 1e-3, "high": 0.1, "log": True, "when": {"optimizer": "adamw"}},
        ),
        Decision(
            "space.l2",
            {"type": "float", "low": 1e-6, "high": 1e-3, "log": True, "when": {"optimizer": "nesterov"}},
        ),
        Decision("space.schedule", "cycle_per_rung"),
        Decision("space.batch_size", SMALL_BATCHES if small else BATCHES),
    ]


def _augmentation(survey: Survey) -> Decision:
    if survey.frames:
        return Decision("space.augmentation", "shift", f"All frames of a clip alike. {NO_MIRRORS}")
    return Decision(
        "space.augmentation",
        ["shift", "flip_shift", "trivial"],
        "Whether mirrored images mean the same (flowers do, letters do not) is not to be seen from the "
        "files, so shifts are tried without mirroring (shift) and with it (flip_shift).",
    )


def _starts(space: list[Decision], ranges: _Ranges, *, small: bool) -> list[dict[str, Any]]:
    """Configurations that usually do well, the cheapest first, with all that is searched."""
    common = {
        "family": "cnn",
        "depth": min(3, ranges.depth[1]),
        "width": ranges.width[0],
        "convs": 1,
        "dropout": 0.1,
        "label_smoothing": 0.1,
        "augmentation": "shift",
        "augmentation_strength": 0.5,
        "balance": "class_weights",
        "optimizer": "adamw",
        "learning_rate": 5e-3,
        "weight_decay": 1e-2,
        "batch_size": SMALL_BATCHES[0] if small else BATCHES[0],
    }
    if ranges.recurrent:
        by_order = common | {"family": "rnn", "depth": RECURRENT_LAYERS[0], "width": ranges.recurrent[0]}
        return [start_of(space, by_order), start_of(space, common)]
    larger = common | {
        "depth": min(4, ranges.depth[1]),
        "width": ranges.width[1],
        "augmentation": "flip_shift",
    }
    return [start_of(space, common), start_of(space, larger)]
