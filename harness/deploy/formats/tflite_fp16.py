"""The model for phones and small devices, half as large."""

from __future__ import annotations

from harness.deploy.formats.litert import litert_format
from harness.deploy.tolerance import FLOAT16

FORMAT = litert_format("fp16", "LiteRT with weights of float16, half as large.", FLOAT16)
