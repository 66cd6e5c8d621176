"""How large pictures are prepared that a space is searched on, where the experiment does not say it."""

from __future__ import annotations

from harness.experiment.dataset_config import LONGEST_SIDE, DatasetConfig
from harness.experiment.distributions import Choice, Constant, Distribution
from harness.experiment.fixed_sizes import fixed_sizes
from harness.experiment.parameters import CATALOG
from harness.experiment.space import Space
from harness.experiment.space_conditions import families_of
from harness.model.families import FAMILIES
from harness.model.families.stem import NO_STEM_UP_TO

SMALL_PICTURES = NO_STEM_UP_TO
"""Pixels of the longer side up to which pictures are small: families are made for such as they are, and
pretrained networks see little in them."""


def with_longest_side(dataset: DatasetConfig, space: Space) -> DatasetConfig:
    """The data set's settings with a longer side of pictures that every family in the space can do with.

    What they say themselves about the size of pictures stays, and no picture is made smaller for a family.
    """
    if dataset.image_size is not None or "longest_side" in dataset.model_fields_set:
        return dataset
    longest = max(LONGEST_SIDE, longest_side(space))
    # Not as if it had been given: a study that goes on has its own.
    return DatasetConfig.model_construct(
        set(dataset.model_fields_set), **dict(dataset) | {"longest_side": longest}
    )


def is_for_any_size(space: Space) -> bool:
    """Whether a family in the space asks for a size of pictures, or is the user's own."""
    return bool(space.model or _asking(space))


def longest_side(space: Space) -> int:
    """The most pixels of the longer side that a family in the space asks for; 0 if none asks for any."""
    fixed = fixed_sizes(space)
    decided = bool(fixed) and None not in fixed.values()
    sides = [max(size) for size in fixed.values() if size]
    for family, name in _asking(space).items():
        if FAMILIES[family].body is None or not decided:
            sides.append(_largest(space, name))
    return max(sides, default=0)


def _asking(space: Space) -> dict[str, str]:
    """By families in the space, the parameters by which they ask for a size."""
    asked = {name: FAMILIES[name].longest_side for name in families_of(space.parameters) if name in FAMILIES}
    return {} if space.model else {family: name for family, name in asked.items() if name is not None}


def _largest(space: Space, name: str) -> int:
    alternatives = space.parameters.get(name, ())
    return max((_most(one.values) for one in alternatives), default=int(CATALOG[name].default))


def _most(values: Distribution | Constant) -> int:
    if isinstance(values, Constant):
        return int(values.value)
    return int(max(map(float, values.choices)) if isinstance(values, Choice) else values.high)
