"""The built-in model families: a file and a line here for each."""

from __future__ import annotations

from harness.model.families.family import Family
from harness.registry import registered

FAMILIES: dict[str, Family] = registered(
    __name__,
    {
        "cnn": "cnn:FAMILY",
        "resnet": "resnet:FAMILY",
        "rnn": "rnn:FAMILY",
        "baseline": "baseline:FAMILY",
        "pretrained": "pretrained:FAMILY",
    },
)
"""By the value of the parameter `family`."""
