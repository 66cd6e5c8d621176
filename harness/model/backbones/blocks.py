"""The layers of a backbone in groups that are trained one after the other."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import TYPE_CHECKING

from harness.model.backbones.backbone import PREFIX

if TYPE_CHECKING:
    import keras

STEM, HEAD = "stem", "head"


def by_name(network: keras.Model, pattern: str) -> list[list[keras.Layer]]:
    """Groups of layers whose names have the same match of a pattern.

    Args:
        network: one in which a backbone was built.
        pattern: a regular expression that finds a block's name in its layers' names. What has none is part of
            the first group if it comes before all blocks, else of the last one.

    Returns:
        The layers that have weights, from input to output.
    """
    groups: dict[str, list[keras.Layer]] = {}
    for layer in _with_weights(network):
        found = re.search(pattern, layer.name)
        block = found[0] if found else HEAD if groups.keys() - {STEM} else STEM
        groups.setdefault(block, []).append(layer)
    head = groups.pop(HEAD, None)
    return [*groups.values(), *([head] if head else [])]


def by_kernel(network: keras.Model, apart: Container[str] = ()) -> list[list[keras.Layer]]:
    """Groups of layers each of which begins with one that has a kernel; normalisations follow.

    Args:
        network: one in which a backbone was built.
        apart: the names of layers that are in no group: what brings pixels to what the network expects.

    Returns:
        The layers that have weights, from input to output.
    """
    groups: list[list[keras.Layer]] = []
    for layer in _with_weights(network):
        if layer.name in apart:
            continue
        if not groups or any(len(weight.shape) > 1 for weight in layer.weights):
            groups.append([])
        groups[-1].append(layer)
    return groups


def _with_weights(network: keras.Model) -> list[keras.Layer]:
    return [layer for layer in network.layers if layer.name.startswith(PREFIX) and layer.weights]
