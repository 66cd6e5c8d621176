"""A head on a network that was trained on other photographs: what is decided for it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.model.families.pretrained import AVERAGED
from harness.proposal.decision import (
    BY_ORDER,
    LARGEST_SIDE,
    NO_MIRRORS,
    SHORTEST_SIDE,
    Decision,
    fitted,
    in_words,
    start_of,
)
from harness.proposal.frame import Division, balance, rungs, timeout
from harness.proposal.means import Means, PricedBackbone
from harness.proposal.survey import Survey

SIDES = (96, 160, 224)
"""Longer sides that the network may see, in pixels. Smaller pictures are enlarged inside of it: it was
trained on such sizes, and sees more in a picture of 100 pixels at 224 of them."""
USUAL = 160
"""The side that comes first: on photographs it is nearly as good as 224, at half the cost."""
SHARE = 1 / 3
"""The share of the time limit that computing features may take."""
TIMEOUT = 600.0
"""Seconds of a search, unless features alone take too much of it."""
TRIALS = 100
"""Of a search, unless a longer time limit is given: then one for each second, twice what a trial takes."""
SMALL = 1000
"""Training images below which batches are small."""
STEPS = 150
"""Steps of the optimizer up to the first rung, about. With 50, and a third as many trials, one split of 1,237
training images of ten classes had a point less in validation; the two were not measured apart."""
LONGEST_RUNG = 9
"""Epochs up to the first rung at most."""
REDUCTION = 3


@dataclass(frozen=True, slots=True)
class _Features:
    """Features that are computed: those of every backbone with every side and number of views."""

    backbones: tuple[PricedBackbone, ...]
    sides: tuple[int, ...]
    views: int
    seconds: float
    """What computing them takes."""


def decide(survey: Survey, means: Means, division: Division, limit: float | None) -> list[Decision]:
    """The keys of the experiment file that depend on the kind of network.

    Args:
        survey: of the data.
        means: the machine; there is a backbone.
        division: how many images are trained on.
        limit: seconds that the user gives to the search, infinity if it is to have no limit; None: as many as
            it needs.
    """
    given = limit is not None and math.isfinite(limit)
    chosen = _affordable(survey, means, division, limit if given and limit else TIMEOUT)
    batch = 32 if division.train < SMALL else 64
    first = min(LONGEST_RUNG, max(1, round(STEPS * batch / division.train)))
    epochs = first * REDUCTION**2
    size = fitted(survey.whole, _longest(survey.whole, max(chosen.sides)))
    space = _space(survey, chosen, means, batch)
    return [
        *_image_size(survey, size),
        Decision(
            "training.epochs",
            epochs,
            f"Heads on features that are computed once: an epoch of {division.train:,} {survey.noun}s takes "
            f"a fraction of a second, a full training is about "
            f"{-(-division.train // batch) * epochs:,} steps.",
        ),
        *rungs(division, first, REDUCTION, f"{first}, {REDUCTION * first} and {epochs}"),
        Decision(
            "search.trials",
            max(TRIALS, round(limit)) if given and limit and not division.folds else TRIALS,
            "A trial takes some seconds for each of its folds."
            if division.folds
            else "Most trials take less than a second: they end at the first rung.",
        ),
        timeout(
            max(TIMEOUT, 60.0 * -(-chosen.seconds / SHARE // 60)),
            limit,
            f", of which computing features takes about {in_words(chosen.seconds)}",
        ),
        *space,
        Decision(
            "start_with",
            _starts(space, chosen),
            "What usually does well, the cheapest first, so that there is a good model early.",
        ),
    ]


def _image_size(survey: Survey, size: tuple[int, int]) -> list[Decision]:
    if "image_size" in survey.config.model_fields_set:
        return []
    return [
        Decision(
            "dataset.image_size",
            list(size),
            f"Height and width to which {survey.pictures} are decoded, once: in the proportions of a typical "
            f"one ({survey.size[0]}×{survey.size[1]}), as large as the largest space.image_size needs, and "
            "no larger than they are.",
        )
    ]


def _longest(size: tuple[int, int], side: int) -> int:
    """The longer side, in pixels, of what a network needs of pictures of a size to see them with `side`.

    It sees none with less than `SHORTEST_SIDE` on the shorter side, and would only enlarge what is less.
    """
    return min(max(size), LARGEST_SIDE, max(side, -(-SHORTEST_SIDE * max(size) // min(size))))


def _affordable(survey: Survey, means: Means, division: Division, limit: float) -> _Features:
    """As many backbones, sides and views as can be computed in a share of the time limit, the best first."""

    def priced(backbones: tuple[PricedBackbone, ...], sides: tuple[int, ...], views: int) -> _Features:
        images = (division.train * views + division.validation) * max(1, survey.frames)
        work = sum(
            images * one.cost((max(SHORTEST_SIDE, size[0]), max(SHORTEST_SIDE, size[1])))
            for one, side in itertools.product(backbones, sides)
            for size in [fitted(survey.whole, side)]
        )
        return _Features(backbones, sides, views, work / means.predicting)

    def larger(found: _Features, wanted: _Features) -> _Features:
        return wanted if fits(wanted) else found

    def fits(features: _Features) -> bool:
        return features.seconds <= SHARE * limit

    cheapest = means.backbones[0]
    firsts = [priced((cheapest,), (side,), 1) for side in reversed(SIDES) if side <= USUAL]
    found = next(filter(fits, firsts), firsts[-1])
    found = larger(found, priced(found.backbones, (*found.sides, SIDES[-1]), 1))
    if not survey.frames:  # clips are not mirrored
        found = larger(found, priced(found.backbones, found.sides, 2))
    for one in reversed(means.backbones[1:]):
        found = larger(found, priced((*found.backbones, one), found.sides, found.views))
    return found


def _space(survey: Survey, chosen: _Features, means: Means, batch: int) -> list[Decision]:
    names = [one.name for one in means.backbones if one in chosen.backbones]
    speed = "measured on this machine" if means.is_measured else "by a rule of thumb, not measured here"
    return [
        Decision(
            "space.family",
            "pretrained",
            f"{survey.images:,} {_what(survey)} of about {survey.size[0]}×{survey.size[1]} pixels: too few "
            "to learn from alone what pictures look like, and large enough for a network that has learned it "
            "from others.",
        ),
        Decision(
            "space.backbone",
            _one_or_many(names),
            "Networks whose features are computed once and cached: for all sizes and views about "
            f"{in_words(chosen.seconds)} ({speed}).",
        ),
        Decision(
            "space.image_size",
            _one_or_many(list(chosen.sides)),
            "The longer side that the network sees, which enlarges smaller images itself; that of the "
            "images is "
            f"about {max(survey.whole)} pixels.",
        ),
        Decision(
            "space.views",
            _one_or_many(list(range(1, chosen.views + 1))),
            NO_MIRRORS if survey.frames else _about_views(chosen.views),
        ),
        *([Decision("space.order", [AVERAGED, "gru"], BY_ORDER)] if survey.frames else []),
        Decision(
            "space.head_width", [0, 256], "0: the classes directly on the features, or a layer between."
        ),
        Decision("space.dropout", {"type": "float", "low": 0.0, "high": 0.5}),
        Decision("space.label_smoothing", [0.0, 0.1]),
        *balance(survey),
        Decision("space.optimizer", ["adamw", "nesterov"]),
        Decision(
            "space.learning_rate",
            [
                {"type": "float", "low": 5e-4, "high": 2e-2, "log": True, "when": {"optimizer": "adamw"}},
                {"type": "float", "low": 2e-3, "high": 5e-2, "log": True, "when": {"optimizer": "nesterov"}},
            ],
            "A head may learn faster than a whole network.",
        ),
        Decision(
            "space.weight_decay",
            {"type": "float", "low": 1e-3, "high": 0.3, "log": True, "when": {"optimizer": "adamw"}},
        ),
        Decision(
            "space.l2",
            {"type": "float", "low": 1e-6, "high": 1e-2, "log": True, "when": {"optimizer": "nesterov"}},
        ),
        Decision("space.schedule", "cycle_per_rung"),
        Decision("space.batch_size", batch),
    ]


def _about_views(most: int) -> str:
    if most == 1:
        return "Mirrored images too (views: 2) would take about twice as long to compute."
    return (
        "2: mirrored images are trained on too. Whether they mean the same (flowers do, letters do not) "
        "is not to be seen from the files, so both are tried."
    )


def _what(survey: Survey) -> str:
    return f"clips of {survey.frames} frames" if survey.frames else "pictures"


def _one_or_many(values: Sequence[Any]) -> Any:
    return list(values) if len(values) > 1 else values[0]


def _starts(space: Sequence[Decision], chosen: _Features) -> list[dict[str, Any]]:
    """Configurations that usually do well, the cheapest first, with all that is searched."""
    plain = {
        "backbone": chosen.backbones[0].name,
        "image_size": chosen.sides[0],
        "views": 1,
        "order": AVERAGED,
        "head_width": 0,
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "balance": "class_weights",
        "optimizer": "adamw",
        "learning_rate": 5e-3,
        "weight_decay": 1e-2,
    }
    better = plain | {
        "image_size": chosen.sides[-1],
        "views": chosen.views,
        "order": "gru",
        "dropout": 0.2,
        "label_smoothing": 0.1,
    }
    return [start_of(space, plain), start_of(space, better)]
