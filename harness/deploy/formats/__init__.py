"""Formats of exported models: a file and a line here for each."""

from __future__ import annotations

from harness.deploy.formats.format import ExportFormat
from harness.registry import registered

FORMATS: dict[str, ExportFormat] = registered(
    __name__,
    {
        "keras": "keras_model:FORMAT",
        "saved_model": "saved_model:FORMAT",
        "onnx": "onnx_model:FORMAT",
        "tflite_fp32": "tflite_fp32:FORMAT",
        "tflite_fp16": "tflite_fp16:FORMAT",
        "tflite_int8": "tflite_int8:FORMAT",
    },
)
"""Formats by name. A bundle holds the model in those that were asked for, or in all whose libraries are
installed, and always as Keras saves it."""
