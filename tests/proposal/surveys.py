"""Descriptions of data sets and machines, drawn."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from harness.experiment.dataset_config import DatasetConfig
from harness.proposal.means import BACKBONES, Means
from harness.proposal.survey import Survey

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
CLASSES = NAMES.filter(lambda name: name.isprintable() and bool(name.strip()))
SIZES = st.integers(2, 1024)
SIDES = st.one_of(st.integers(1, 60), st.integers(60, 400), st.integers(400, 9000))


@st.composite
def configs(draw: st.DrawFn) -> DatasetConfig:
    """A source, and sometimes what a user says of it."""
    given = draw(
        st.fixed_dictionaries(
            {"source": NAMES},
            optional={
                "image_size": st.one_of(SIZES, st.tuples(SIZES, SIZES)),
                "color": st.sampled_from(["grey", "rgb"]),
                "validation_fraction": st.floats(0.05, 0.5),
                "test_fraction": st.floats(0.0, 0.5),
                "layout": st.just("prefix"),
                "ignore": st.lists(NAMES, max_size=2),
                "limit_train": st.integers(2, 10_000),
                "folds": st.one_of(st.none(), st.integers(2, 8)),
                "frames": st.integers(1, 16),
            },
        )
    )
    return DatasetConfig.model_validate(given)


@st.composite
def surveys(draw: st.DrawFn) -> Survey:
    """A data set."""
    config = draw(configs())
    many = st.one_of(st.integers(2, 300), st.integers(2, 9000))
    counts = draw(st.dictionaries(CLASSES, many, min_size=2, max_size=8))
    pools = {"train": sum(counts.values())}
    for pool in ("validation", "test"):
        if draw(st.booleans()):
            pools[pool] = draw(st.integers(1, 5000))
    sizes = [(draw(SIDES), draw(SIDES)) for _ in range(draw(st.integers(1, 3)))]
    heights, widths = [size[0] for size in sizes], [size[1] for size in sizes]
    return Survey(
        config=config,
        name=draw(NAMES),
        counts=pools,
        class_counts=counts,
        size=draw(st.sampled_from(sizes)),
        smallest=(min(heights), min(widths)),
        largest=(max(heights), max(widths)),
        channels={"grey": 1, "rgb": 3}.get(config.color) or draw(st.sampled_from([1, 3])),
        headers=len(sizes),
    )


@st.composite
def machines(draw: st.DrawFn) -> Means:
    """A machine, with the weights of some backbones."""
    known = draw(st.sets(st.sampled_from(BACKBONES)))
    return Means(
        training=draw(st.floats(1e8, 1e14)),
        predicting=draw(st.floats(1e8, 1e14)),
        is_measured=draw(st.booleans()),
        backbones=tuple(one for one in BACKBONES if one in known),
        missing="" if known else "Weights are in a package that is not installed.",
    )


LIMITS = st.one_of(st.none(), st.just(math.inf), st.floats(1, 1e6), st.integers(1, 100_000).map(float))
"""Seconds that a user gives to a search."""
