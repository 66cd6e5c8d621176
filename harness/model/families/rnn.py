"""Recurrent networks over the rows of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.families.family import Family
from harness.model.families.parameters import DROPOUT, depth, width
from harness.model.parameter import Parameter
from harness.records import Params

if TYPE_CHECKING:
    import keras


def features(x: keras.KerasTensor, params: Params) -> keras.KerasTensor:
    """The rows of the image as a sequence, read by `depth` recurrent layers of `width` units.

    The layers loop over the rows. Unrolled, an epoch would take about a tenth less on a CPU, but compiling up
    to eight times as long (25 s for 32 rows and three layers), and a GPU could not use its own kernels.
    """
    import keras

    _, height, columns, channels = x.shape
    x = keras.layers.Reshape((height, columns * channels), name="rows")(x)
    cell = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[str(params["cell"])]
    layers = int(params["depth"])
    for index in range(1, layers + 1):
        layer = cell(int(params["width"]), return_sequences=index < layers, name=f"recurrent{index}")
        if params["bidirectional"]:
            layer = keras.layers.Bidirectional(layer, name=f"both_ways{index}")
        x = layer(x)
        x = keras.layers.Dropout(float(params["dropout"]), name=f"dropout{index}")(x)
    return x


def multiply_adds(params: Params, image_shape: tuple[int, int, int]) -> float:
    """What one image costs in the recurrent layers."""
    height, width, channels = image_shape
    units = int(params["width"])
    gates = 3 if params["cell"] == "gru" else 4
    ways = 2 if params["bidirectional"] else 1
    first = units * (width * channels + units)
    return height * gates * ways * (first + (int(params["depth"]) - 1) * units * (ways + 1) * units)


FAMILY = Family(
    about="Recurrent layers that read the rows of the image.",
    parameters=(
        depth("layers"),
        width("units of a layer"),
        Parameter("cell", "choice", "gru", "The recurrent cell.", choices=("gru", "lstm")),
        Parameter("bidirectional", "bool", True, "Read rows downwards and upwards."),
        DROPOUT,
    ),
    features=features,
    multiply_adds=multiply_adds,
)
