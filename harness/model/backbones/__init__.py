"""The pretrained networks that there are: a file and a line here for each."""

from __future__ import annotations

from harness.errors import PretrainedError
from harness.messages import nearest, shown
from harness.model.backbones.backbone import Backbone
from harness.model.backbones.own_model import own_backbone
from harness.model.parameter import is_path
from harness.registry import registered

BACKBONES: dict[str, Backbone] = registered(
    __name__,
    {
        "efficientnet_lite0": "efficientnet_lite:LITE0",
        "efficientnet_lite1": "efficientnet_lite:LITE1",
        "efficientnet_lite2": "efficientnet_lite:LITE2",
        "mobilenet_v2": "applications:MOBILENET_V2",
        "mobilenet_v2_192": "applications:MOBILENET_V2_192",
        "mobilenet_v2_160": "applications:MOBILENET_V2_160",
        "mobilenet_v2_128": "applications:MOBILENET_V2_128",
        "mobilenet_v2_96": "applications:MOBILENET_V2_96",
        "mobilenet_v3_small": "applications:MOBILENET_V3_SMALL",
        "mobilenet_v3_large": "applications:MOBILENET_V3_LARGE",
        "efficientnetv2_b0": "applications:EFFICIENTNETV2_B0",
        "efficientnetv2_b1": "applications:EFFICIENTNETV2_B1",
        "efficientnetv2_b2": "applications:EFFICIENTNETV2_B2",
        "efficientnetv2_b3": "applications:EFFICIENTNETV2_B3",
        "resnet50": "applications:RESNET50",
        "convnext_tiny": "applications:CONVNEXT_TINY",
    },
)
"""By the value of the parameter `backbone`."""


def find_backbone(name: str) -> Backbone:
    """The backbone of a name, or the one in a model of one's own.

    Args:
        name: a registered name; or the path of a `.keras` file, or of a folder that `harness export` wrote.

    Raises:
        PretrainedError: there is none of that name, or the model cannot serve as one.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    if is_path(name):
        return own_backbone(name)
    raise PretrainedError(
        f"There is no backbone {shown(name)}{nearest(name, BACKBONES) or '.'} There are "
        f"{', '.join(BACKBONES)}, and the path of a .keras file or of a folder that `harness export` wrote."
    )
