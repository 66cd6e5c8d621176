"""Plain convolutional networks, VGG-like with two convolutions a block."""

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
    """A stem, then `depth` blocks: `convs` convolutions, optional batch norm, ReLU; pooling; dropout.

    The number of filters starts at `width` and doubles after each pooling, up to 512. Pooling stops
    before a side of the feature map would fall below 2 pixels, so that any depth fits any image.
    """
    import keras

    from harness.model.families.layers import can_halve, convolution, norm

    filters = int(params["width"])
    batch_norm = bool(params["batch_norm"])
    x = stem(x, params, batch_norm=batch_norm)
    for block in range(1, int(params["depth"]) + 1):
        for conv in range(1, int(params["convs"]) + 1):
            name = f"{block}" if params["convs"] == 1 else f"{block}_{conv}"
            x = convolution(x, filters, int(params["kernel_size"]), f"conv{name}", bias=not batch_norm)
            if batch_norm:
                x = norm(x, f"norm{name}")
            x = keras.layers.ReLU(name=f"relu{name}")(x)
        if can_halve(x):
            x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)
            filters = min(2 * filters, MAX_FILTERS)
        x = keras.layers.Dropout(float(params["dropout"]), name=f"dropout{block}")(x)
    if params["head"] == "flatten":
        return keras.layers.Flatten(name="flatten")(x)
    return keras.layers.GlobalAveragePooling2D(name="global_pool")(x)


def multiply_adds(params: Params, image_shape: tuple[int, int, int]) -> float:
    """What one image costs in the convolutions."""
    blocks = [int(params["convs"])] * int(params["depth"])
    before, shape = stem_cost(params, image_shape)
    return before + stacked_convolutions(shape, int(params["width"]), int(params["kernel_size"]), blocks)


FAMILY = Family(
    about="Convolutional blocks with pooling between them.",
    parameters=(
        depth("convolution blocks"),
        width("filters of the first block"),
        Parameter("convs", "int", 1, "Convolutions in a block; 2 is VGG's way.", 1, 4),
        Parameter("kernel_size", "int", 3, "Side of the kernels, odd.", 1, 11, odd=True),
        Parameter("batch_norm", "bool", True, "Batch normalisation after each convolution."),
        Parameter(
            "head",
            "choice",
            "global",
            "What turns the last feature map into a vector.",
            choices=("flatten", "global"),
        ),
        STEM,
        DROPOUT,
    ),
    features=features,
    multiply_adds=multiply_adds,
)
