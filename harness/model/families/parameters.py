"""Parameters that several families have in common, each in its own words."""

from __future__ import annotations

from harness.model.parameter import Parameter

MAX_FILTERS = 512
"""Where the doubling of filters ends."""
GATES = {"gru": 3, "lstm": 4}
"""Products of a unit with what it reads, by the recurrent cell."""
DROPOUT = Parameter(
    "dropout",
    "float",
    0.1,
    "Dropout rate after each block.",
    0,
    0.9,
    enters="loop",
    changes_graph_when_positive=True,
)


def depth(about: str) -> Parameter:
    """How deep a network is; `about` says of what."""
    return Parameter("depth", "int", 3, about, 1, 6)


def width(about: str) -> Parameter:
    """How wide a network is; `about` says of what."""
    return Parameter("width", "int", 32, about, 4, 512)
