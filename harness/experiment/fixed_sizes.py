"""Models of one's own that take images of one size only, whatever the parameter `image_size` says."""

from __future__ import annotations

from harness.errors import PretrainedError
from harness.experiment.parameters import CATALOG, FAMILIES_WITH_BODY
from harness.experiment.space import Space
from harness.experiment.space_conditions import families_of, possible_values
from harness.model.backbones import find_backbone
from harness.model.parameter import is_path


def fixed_sizes(space: Space) -> dict[str, tuple[int, int] | None]:
    """By the backbones in a space, height and width of the only images that each takes; None: any will do."""
    if space.model or not families_of(space.parameters) & set(FAMILIES_WITH_BODY):
        return {}
    named = possible_values(space.parameters["backbone"]) if "backbone" in space.parameters else None
    return {name: _taken_by(name) for name in sorted(map(str, named or {CATALOG["backbone"].default}))}


def size_advice(space: Space) -> list[str]:
    """A sentence for each backbone beside which a space gives an `image_size` that has no effect."""
    given = space.parameters.get("image_size", ())
    asked = [one.when.get("backbone") for one in given]
    return [
        f"space.image_size: it has no effect with the backbone {name}, which takes images of "
        f"{size[0]}×{size[1]} pixels and no others."
        for name, size in fixed_sizes(space).items()
        if size and any(names is None or name in names for names in asked)
    ]


def _taken_by(name: str) -> tuple[int, int] | None:
    if not is_path(name):
        return None
    try:
        return find_backbone(name).takes
    except PretrainedError:  # told when its weights are looked for
        return None
