"""The model for phones and small devices, as exact as the trained one."""

from __future__ import annotations

from harness.deploy.formats.litert import litert_format

FORMAT = litert_format("fp32", "LiteRT (TensorFlow Lite) in float32.")
