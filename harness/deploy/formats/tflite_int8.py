"""The model for small devices, a quarter as large, computing in whole numbers."""

from __future__ import annotations

from harness.deploy.formats.litert import litert_format
from harness.deploy.tolerance import INT8

FORMAT = litert_format(
    "int8",
    "LiteRT with weights and activations of int8, a quarter as large, quantised by training images; input "
    "and output are float32 as of the others.",
    INT8,
    needs_training_images=True,
)
