"""What makes large images small before a family's own layers, so that any size can be afforded.

Without a stem a convolutional network works at the image's full size first, which costs as much at 96×96 as
nine images of 32×32, and hardly sees beyond a few pixels. So images are halved, or halved twice, by learned
convolutions before anything else.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.model.parameter import Parameter
from harness.records import Params

if TYPE_CHECKING:
    import keras

NO_STEM_UP_TO = 48
"""Pixels of a side up to which an image is left as it is: the usual small ones have 8 to 48, and each of them
matters."""
HALVED_UP_TO = 112
"""Pixels of a side up to which an image is halved once; a larger one is halved twice. So 25 to 56 pixels are
left of 49 to 224: as in networks for ImageNet, whose 224 become 56."""
_HALVINGS = {"none": 0, "stride2": 1, "stride4": 2}
STEM = Parameter(
    "stem",
    "choice",
    "auto",
    "What makes the image smaller first; stride2, stride4: one or two convolutions that halve it; auto: none "
    f"up to {NO_STEM_UP_TO} pixels a side, stride2 up to {HALVED_UP_TO}, stride4 above.",
    choices=("auto", *_HALVINGS),
)


def automatic_stem(height: int, width: int) -> str:
    """The stem that `auto` stands for.

    Images that are not square count as the square of their area, which is what decides the costs.
    """
    side = math.sqrt(height * width)
    return "none" if side <= NO_STEM_UP_TO else "stride2" if side <= HALVED_UP_TO else "stride4"


def _halvings(params: Params, height: int, width: int) -> int:
    chosen = str(params["stem"])
    wanted = _HALVINGS[automatic_stem(height, width) if chosen == "auto" else chosen]
    possible = 0
    while possible < wanted and min(height, width) >= 4:
        height, width, possible = -(-height // 2), -(-width // 2), possible + 1
    return possible


def stem(x: keras.KerasTensor, params: Params, *, batch_norm: bool) -> keras.KerasTensor:
    """3×3 convolutions with a stride of 2, `width` filters, optional batch norm and ReLU.

    Two of them for `stride4`, rather than the 7×7 convolution and pooling of He et al. 2016: up to some 50
    filters, which are many for small data sets, they cost less, and no pooling throws three of four values
    away. An image is not halved below 2 pixels a side.

    Args:
        x: scaled pixels (N, H, W, C).
        params: complete parameters.
        batch_norm: whether the family has batch norm behind its own convolutions.
    """
    import keras

    from harness.model.families.layers import convolution, norm

    filters = int(params["width"])
    for number in range(1, _halvings(params, x.shape[1], x.shape[2]) + 1):
        x = convolution(x, filters, 3, f"stem_conv{number}", bias=not batch_norm, stride=2)
        if batch_norm:
            x = norm(x, f"stem_norm{number}")
        x = keras.layers.ReLU(name=f"stem_relu{number}")(x)
    return x


def stem_cost(params: Params, image_shape: tuple[int, int, int]) -> tuple[float, tuple[int, int, int]]:
    """The multiply-adds of the stem for one image, and height, width and channels of what it makes of it."""
    height, width, channels = image_shape
    total, filters = 0.0, int(params["width"])
    for _ in range(_halvings(params, height, width)):
        height, width = -(-height // 2), -(-width // 2)
        total += height * width * 9 * channels * filters
        channels = filters
    return total, (height, width, channels)
