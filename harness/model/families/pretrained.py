"""Heads on networks that were trained elsewhere, whose last blocks may be trained on after the head was.

First the head alone, then both, at a lower rate: LP-FT (Kumar et al. 2022, arXiv:2202.10054).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.backbones import BACKBONES, find_backbone
from harness.model.families.family import Body, ClipReader, Family
from harness.model.families.parameters import DROPOUT, GATES
from harness.model.parameter import Parameter
from harness.records import Params

if TYPE_CHECKING:
    import keras

LEAST_SIDE = 32
"""Pixels below which backbones have nothing left to look at."""
FEATURES, CLASSES = 1280, 10
"""How many there mostly are, for an estimate."""
AVERAGED = "none"
"""The value of `order` with which it plays no part."""
UNITS = 128
"""Of the recurrent layer over the frames of a clip, where `head_width` says none."""
BACKBONE = 4e8 / 224**2
"""Multiply-adds of a small backbone for a pixel that it sees, for an estimate."""


def body(x: keras.KerasTensor, params: Params) -> keras.KerasTensor:
    """Resize, make three channels of one, run the backbone, and average its feature map.

    Args:
        x: raw pixels (N, H, W, C), 0…255.
        params: `backbone` is read, and `image_size`, unless the backbone takes images of one size only.
    """
    import keras

    backbone = find_backbone(str(params["backbone"]))
    if backbone.takes is None:
        x = _with_longer_side(x, int(params["image_size"]))
    else:
        height, width = backbone.takes
        x = _resized(x, backbone.takes, (x.shape[1] // height, x.shape[2] // width))
    x = backbone.build(_three_channels(x))
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D(name="global_pool")(x)
    return x


def unfrozen(network: keras.Model, params: Params) -> list[list[keras.Layer]]:
    """The layers of the last `unfreeze` blocks, the last block first, without batch norms.

    Batch norms keep the statistics and scales that they come with: those of a few images would be worse.
    """
    import keras

    blocks = [
        [
            layer
            for layer in block
            if layer._trainable_variables and not isinstance(layer, keras.layers.BatchNormalization)
        ]
        for block in find_backbone(str(params["backbone"])).blocks(network)
    ]
    return [block for block in reversed(blocks) if block][: int(params["unfreeze"])]


def _with_longer_side(x: keras.KerasTensor, side: int) -> keras.KerasTensor:
    """The image with a longer side of `side` pixels, its shape kept as far as 32 pixels a side allow."""
    height, width = x.shape[1:3]
    scale, most = side / max(height, width), max(height, width) // side
    wanted = max(LEAST_SIDE, round(height * scale)), max(LEAST_SIDE, round(width * scale))
    return _resized(x, wanted, (min(most, height // LEAST_SIDE), min(most, width // LEAST_SIDE)))


def _resized(x: keras.KerasTensor, wanted: tuple[int, int], shrink: tuple[int, int]) -> keras.KerasTensor:
    """The image with this height and width.

    Args:
        x: pixels (N, H, W, C).
        wanted: height and width.
        shrink: how many pixels, along height and width, are averaged before: bilinear sampling alone would
            leave pixels out.
    """
    import keras

    if max(shrink) > 1:
        pool = max(1, shrink[0]), max(1, shrink[1])
        x = keras.layers.AveragePooling2D(pool, padding="same", name="shrink")(x)
    if x.shape[1:3] == wanted:
        return x
    # Told that it is not in training: else all layers behind it would take themselves to be in it.
    return keras.layers.Resizing(*wanted, interpolation="bilinear", name="resize")(x, training=False)


def _three_channels(x: keras.KerasTensor) -> keras.KerasTensor:
    import keras

    return keras.layers.Concatenate(name="grey_to_rgb")([x, x, x]) if x.shape[3] == 1 else x


def features(x: keras.KerasTensor, params: Params) -> keras.KerasTensor:
    """Dropout, and a dense layer with another dropout if the head is to have one."""
    import keras

    dropout = float(params["dropout"])
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    if width := int(params["head_width"]):
        x = keras.layers.Dense(width, activation="relu", kernel_initializer="he_normal", name="head")(x)
        x = keras.layers.Dropout(dropout, name="head_dropout")(x)
    return x


def multiply_adds(params: Params, image_shape: tuple[int, int, int]) -> float:
    """What one image costs in the part that is trained: the head's first layer, or the whole network."""
    return float(FEATURES * (int(params["head_width"]) or CLASSES)) + _in_backbone(params, image_shape)


def _in_backbone(params: Params, image_shape: tuple[int, int, int]) -> float:
    """What one image costs in the backbone, if that is trained."""
    if not params.get("unfreeze"):
        return 0.0
    height, width, _ = image_shape
    return BACKBONE * float(params["image_size"]) ** 2 * min(height, width) / max(height, width)


def sequence(x: keras.KerasTensor, params: Params) -> keras.KerasTensor:
    """Dropout, and a recurrent layer over the features of clips' frames (N, T, F), with another dropout."""
    import keras

    from harness.model.families.layers import RECURRENT

    dropout = float(params["dropout"])
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = RECURRENT[str(params["order"])](int(params["head_width"]) or UNITS, name="frames")(x)
    return keras.layers.Dropout(dropout, name="head_dropout")(x)


def clip_multiply_adds(params: Params, frames: int, image_shape: tuple[int, int, int]) -> float:
    """What one clip costs in the recurrent layer, and in the backbone if that is trained."""
    units = int(params["head_width"]) or UNITS
    return frames * (
        GATES[str(params["order"])] * units * (FEATURES + units) + _in_backbone(params, image_shape)
    )


def clips(params: Params) -> ClipReader | None:
    """A reader of the order of frames, if there is to be one."""
    return None if params["order"] == AVERAGED else ClipReader(lambda x, _: x, sequence, clip_multiply_adds)


FAMILY = Family(
    about="A head on the features of a network that was trained on other pictures; they are computed once.",
    parameters=(
        Parameter(
            "backbone",
            "choice",
            "efficientnet_lite0",
            "The network that was trained elsewhere; or the path of a model of one's own.",
            choices=tuple(BACKBONES),
            paths=True,
        ),
        Parameter("image_size", "int", 160, "The longer side that the backbone sees, in pixels.", 32, 1024),
        Parameter("head_width", "int", 0, "Units of a dense layer before the logits; 0: none.", 0, 8192),
        Parameter(
            "order",
            "choice",
            AVERAGED,
            "What reads the features of a clip's frames in their order, with head_width units, or 128; none: "
            "the frames' probabilities are averaged.",
            choices=(AVERAGED, *GATES),
        ),
        Parameter(
            "views",
            "int",
            2,
            "Views of a training image: 1: itself; 2: its mirror image too; more: changed at random.",
            1,
            64,
            enters="loop",
        ),
        Parameter(
            "unfreeze",
            "int",
            0,
            "How many of the backbone's last blocks are trained too, once the head has been.",
            0,
            1000,
        ),
        Parameter(
            "unfreeze_rate",
            "float",
            0.1,
            "Learning rate of the backbone's last block, as a share of the head's.",
            0,
            1,
            enters="step",
        ),
        DROPOUT,
    ),
    features=features,
    longest_side="image_size",
    multiply_adds=multiply_adds,
    clips=clips,
    body=Body(
        parameters=("backbone", "image_size"),
        build=body,
        unfrozen=unfrozen,
        load=lambda network, params: find_backbone(str(params["backbone"])).load(network),
        fingerprint=lambda params: find_backbone(str(params["backbone"])).fingerprint(),
    ),
)
