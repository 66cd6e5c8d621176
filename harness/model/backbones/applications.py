"""Networks of `keras.applications`, with the weights that Keras publishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from harness.errors import PretrainedError
from harness.model.backbones.backbone import PREFIX, Backbone
from harness.model.backbones.blocks import by_name
from harness.model.backbones.keras_file import KerasFile

if TYPE_CHECKING:
    import keras

SCALING = f"{PREFIX}scaling"
RED_GREEN_BLUE_MEANS = (123.68, 116.779, 103.939)
"""Of ImageNet's pixels, as residual networks were trained."""


def _as_it_is(x: keras.KerasTensor) -> keras.KerasTensor:
    """For networks that scale raw pixels themselves."""
    return x


def _to_plus_minus_one(pixels: keras.KerasTensor) -> keras.KerasTensor:
    import keras

    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name=SCALING)(pixels)


def _without_means(pixels: keras.KerasTensor) -> keras.KerasTensor:
    import keras

    layer = keras.layers.Normalization(mean=RED_GREEN_BLUE_MEANS, variance=(1.0, 1.0, 1.0), name=SCALING)
    return layer(pixels)


def _unchanged(_: keras.Model) -> None:
    """For networks that take red, green and blue in this order."""


def _red_first(model: keras.Model) -> None:
    """ResNet was trained with blue first: its first kernel is turned instead of every image."""
    layer = model.get_layer("conv1_conv")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel[:, :, ::-1], bias])


@dataclass(frozen=True, slots=True)
class Application:
    """A network of `keras.applications`."""

    function: str
    """Its name there."""
    weights: KerasFile
    scaled: Callable[[keras.KerasTensor], keras.KerasTensor] = _as_it_is
    """From raw pixels to what the network expects."""
    adapt: Callable[[keras.Model], None] = _unchanged
    """What is to be done to the published weights."""


def model_of(application: Application, shape: tuple[int | None, int | None, int]) -> keras.Model:
    """The network by itself for images of a shape (H, W, C), without its head, with random weights."""
    import keras

    function = getattr(keras.applications, application.function)
    return function(weights=None, include_top=False, input_shape=shape)


def build(application: Application, pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Raw pixels (N, H, W, 3) in 0…255 to the feature map."""
    from harness.model.backbones.grafting import graft

    return graft(model_of(application, pixels.shape[1:]), application.scaled(pixels))


def load(application: Application, network: keras.Model) -> None:
    """Gives the published weights to a network in which `build` was called.

    Raises:
        PretrainedError: the weights are not to be had, are others, or do not fit.
    """
    from harness.model.backbones.grafting import transplant

    file = application.weights.checked()
    model = model_of(application, (None, None, 3))
    try:
        model.load_weights(file)
    except Exception as error:
        # What is no file of weights may fail in any way.
        reason = str(error).strip().split("\n", 1)[0]
        raise PretrainedError(
            f"The weights in {file} are not those of {application.function}: {reason} Delete the file, and "
            "it is downloaded again."
        ) from error
    application.adapt(model)
    transplant(model, network)


def _backbone(name: str, about: str, side: int, licence: str, pattern: str, network: Application) -> Backbone:
    return Backbone(
        name=name,
        about=about,
        sizes=(side,),
        licence=licence,
        source="Keras's download",
        build=partial(build, network),
        blocks=partial(by_name, pattern=pattern),
        fingerprint=network.weights.sha256,
        load=partial(load, network),
    )


def _mobilenet_v2(side: int) -> Backbone:
    file = KerasFile("mobilenet_v2", f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{side}_no_top.h5")
    return _backbone(
        "mobilenet_v2" if side == 224 else f"mobilenet_v2_{side}",
        f"MobileNetV2 (Sandler et al. 2018), trained with images of {side} pixels.",
        side,
        "Apache-2.0",
        r"expanded_conv_|block_\d+_",
        Application("MobileNetV2", file, scaled=_to_plus_minus_one),
    )


def _mobilenet_v3(size: str, digest: str) -> Backbone:
    file = KerasFile("mobilenet_v3", f"weights_mobilenet_v3_{size}_224_1.0_float_no_top_v2.h5", digest)
    return _backbone(
        f"mobilenet_v3_{size}",
        f"MobileNetV3-{size.capitalize()} (Howard et al. 2019).",
        224,
        "Apache-2.0",
        r"expanded_conv_(\d+_)?",
        Application(f"MobileNetV3{size.capitalize()}", file),
    )


def _efficientnet_v2(number: int, side: int, digest: str) -> Backbone:
    file = KerasFile("efficientnet_v2", f"efficientnetv2-b{number}_notop.h5", digest)
    return _backbone(
        f"efficientnetv2_b{number}",
        f"EfficientNetV2-B{number} (Tan and Le 2021).",
        side,
        "Apache-2.0",
        r"block\d[a-z]_",
        Application(f"EfficientNetV2B{number}", file),
    )


MOBILENET_V2 = _mobilenet_v2(224)
MOBILENET_V2_192 = _mobilenet_v2(192)
MOBILENET_V2_160 = _mobilenet_v2(160)
MOBILENET_V2_128 = _mobilenet_v2(128)
MOBILENET_V2_96 = _mobilenet_v2(96)
MOBILENET_V3_SMALL = _mobilenet_v3("small", "d3e8ec802a04aa4fc771ee12a9a9b836")
MOBILENET_V3_LARGE = _mobilenet_v3("large", "07fb09a5933dd0c8eaafa16978110389")
EFFICIENTNETV2_B0 = _efficientnet_v2(0, 224, "893217f2bb855e2983157299931e43ff")
EFFICIENTNETV2_B1 = _efficientnet_v2(1, 240, "0e80663031ca32d657f9caa404b6ec37")
EFFICIENTNETV2_B2 = _efficientnet_v2(2, 260, "1dfe2e7a5d45b6632553a8961ea609eb")
EFFICIENTNETV2_B3 = _efficientnet_v2(3, 300, "f6abf7b5849ac99a89b50dd3fd532856")
RESNET50 = _backbone(
    "resnet50",
    "ResNet-50 (He et al. 2015).",
    224,
    "MIT",
    r"conv\d_block\d+_",
    Application(
        "ResNet50",
        KerasFile(
            "resnet",
            "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "4d473c1dd8becc155b73f8504c6f6626",
        ),
        scaled=_without_means,
        adapt=_red_first,
    ),
)
CONVNEXT_TINY = _backbone(
    "convnext_tiny",
    "ConvNeXt-Tiny (Liu et al. 2022).",
    224,
    "MIT",
    r"stage_\d_block_\d+_|downsampling_\w+_\d",
    Application(
        "ConvNeXtTiny",
        KerasFile(
            "convnext",
            "convnext_tiny_notop.h5",
            "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        ),
    ),
)
