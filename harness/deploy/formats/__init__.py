"""Formats of exported models: a file and a line here for each."""

from __future__ import annotations

from harness.deploy.formats.format import ExportFormat
from harness.registry import registered

FORMATS: dict[str, ExportFormat] = registered(
    __name__,
    {
        "keras": "keras_model:FORMAT",
        "saved_model": "saved_model:FORMAT",
    },
)
"""Formats by name; a bundle holds the model in every one of them."""
