"""Recurrent networks over the rows of an image, or over the frames of a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.families.family import ClipReader, Family
from harness.model.families.parameters import DROPOUT, GATES, depth, width
from harness.model.parameter import Parameter
from harness.records import Params

if TYPE_CHECKING:
    import keras

FRAME_FILTERS, MOST_FRAME_FILTERS = 16, 64
"""Filters of the first convolution of a clip's frames, doubled by each one after it, and where that ends."""
LEFT = 8
"""Pixels of a side to which a frame is brought by halving it."""
FEWEST_HALVINGS = 2


def features(x: keras.KerasTensor, params: Params) -> keras.KerasTensor:
    """The rows of the image as a sequence, read by `depth` recurrent layers of `width` units.

    The layers loop over the rows. Unrolled, an epoch would take about a tenth less on a CPU, but compiling up
    to eight times as long (25 s for 32 rows and three layers), and a GPU could not use its own kernels.
    """
    import keras

    _, height, columns, channels = x.shape
    return _read(keras.layers.Reshape((height, columns * channels), name="rows")(x), params)


def frame(x: keras.KerasTensor, _: Params) -> keras.KerasTensor:
    """A frame's features: convolutions halve it until few pixels are left, which stay apart.

    So the features tell the place of what is seen, which is what moves from frame to frame.
    """
    import keras

    from harness.model.families.layers import convolution, norm

    for number, filters in enumerate(_halvings(x.shape[1], x.shape[2]), start=1):
        x = convolution(x, filters, 3, f"frame_conv{number}", bias=False, stride=2)
        x = keras.layers.ReLU(name=f"frame_relu{number}")(norm(x, f"frame_norm{number}"))
    return keras.layers.Flatten(name="frame")(x)


def _halvings(height: int, width: int) -> list[int]:
    """The filters of each convolution that halves a frame."""
    found: list[int] = []
    while len(found) < FEWEST_HALVINGS or max(height, width) > LEFT:
        found.append(min(FRAME_FILTERS << len(found), MOST_FRAME_FILTERS))
        height, width = -(-height // 2), -(-width // 2)
    return found


def _read(x: keras.KerasTensor, params: Params) -> keras.KerasTensor:
    """What recurrent layers make of a sequence (N, steps, F): (N, F′)."""
    import keras

    from harness.model.families.layers import RECURRENT

    cell = RECURRENT[str(params["cell"])]
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
    return _reading(params, height, width * channels)


def clip_multiply_adds(params: Params, frames: int, image_shape: tuple[int, int, int]) -> float:
    """What one clip costs in the frames' convolutions and in the recurrent layers."""
    height, width, before = image_shape
    total = 0.0
    for filters in _halvings(height, width):
        height, width = -(-height // 2), -(-width // 2)
        total += height * width * 9 * before * filters
        before = filters
    return frames * total + _reading(params, frames, height * width * before)


def _reading(params: Params, steps: int, numbers: int) -> float:
    """What a sequence of so many steps of so many numbers costs in the recurrent layers."""
    units = int(params["width"])
    gates = GATES[str(params["cell"])]
    ways = 2 if params["bidirectional"] else 1
    first = units * (numbers + units)
    return steps * gates * ways * (first + (int(params["depth"]) - 1) * units * (ways + 1) * units)


FAMILY = Family(
    about="Recurrent layers that read the rows of the image, or the frames of a clip.",
    parameters=(
        depth("layers"),
        width("units of a layer"),
        Parameter("cell", "choice", "gru", "The recurrent cell.", choices=tuple(GATES)),
        Parameter(
            "bidirectional",
            "bool",
            True,
            "Read rows downwards and upwards, or frames forwards and backwards.",
        ),
        DROPOUT,
    ),
    features=features,
    multiply_adds=multiply_adds,
    clips=lambda _: ClipReader(frame, _read, clip_multiply_adds),
)
