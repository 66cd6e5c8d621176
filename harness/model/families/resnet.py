"""Residual networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.families.cost import stacked_convolutions
from harness.model.families.family import Family
from harness.model.families.parameters import DROPOUT, MAX_FILTERS, depth, width
from harness.model.families.stem import STEM, stem, stem_cost
from harness.model.parameter import Parameter
from harness.records import Params

if TYPE_CHECKING:
    import keras


def features(x: keras.KerasTensor, params: Params) -> keras.KerasTensor:
    """Pre-activation residual network (He et al. 2016, arXiv:1603.05027).

    A stem; then `stages` of `depth` blocks with two 3×3 convolutions each; every stage but the first halves
    the size and doubles the filters, as long as 2 pixels are left.
    """
    import keras

    from harness.model.families.layers import can_halve, convolution, norm

    filters = int(params["width"])
    x = convolution(stem(x, params, batch_norm=True), filters, 3, "stem", bias=False)
    for stage in range(1, int(params["stages"]) + 1):
        halve = stage > 1 and can_halve(x)
        filters = min(2 * filters, MAX_FILTERS) if halve else filters
        for block in range(1, int(params["depth"]) + 1):
            stride = 2 if halve and block == 1 else 1
            x = _residual(x, filters, stride, f"{stage}_{block}", float(params["dropout"]))
    x = keras.layers.ReLU(name="last_relu")(norm(x, "last_norm"))
    return keras.layers.GlobalAveragePooling2D(name="global_pool")(x)


def _residual(
    x: keras.KerasTensor, filters: int, stride: int, name: str, dropout: float
) -> keras.KerasTensor:
    import keras

    from harness.model.families.layers import convolution, norm

    active = keras.layers.ReLU(name=f"relu{name}a")(norm(x, f"norm{name}a"))
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = convolution(active, filters, 1, f"shortcut{name}", bias=False, stride=stride)
    y = convolution(active, filters, 3, f"conv{name}a", bias=False, stride=stride)
    y = keras.layers.ReLU(name=f"relu{name}b")(norm(y, f"norm{name}b"))
    y = keras.layers.Dropout(dropout, name=f"dropout{name}")(y)
    y = convolution(y, filters, 3, f"conv{name}b", bias=False)
    return keras.layers.Add(name=f"add{name}")([shortcut, y])


def multiply_adds(params: Params, image_shape: tuple[int, int, int]) -> float:
    """What one image costs in the stem's and the blocks' convolutions."""
    blocks = [2 * int(params["depth"])] * int(params["stages"])
    before, shape = stem_cost(params, image_shape)
    return before + stacked_convolutions(shape, int(params["width"]), 3, blocks)


FAMILY = Family(
    about="Pre-activation residual blocks in stages (He et al. 2016).",
    parameters=(
        depth("residual blocks in a stage"),
        width("filters of the first stage"),
        Parameter("stages", "int", 3, "Stages, each at half the size.", 1, 5),
        STEM,
        DROPOUT,
    ),
    features=features,
    multiply_adds=multiply_adds,
)
