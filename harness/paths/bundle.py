"""The files of an exported bundle; those of the models are named by `harness.deploy.formats`."""

from __future__ import annotations

LABELS = "labels.txt"
"""The classes in the order of the outputs, one a line."""
METADATA = "metadata.json"
README = "README.md"
CHECKSUMS = "SHA256SUMS"
KERAS_MODEL = "model.keras"
SAVED_MODEL = "saved_model"
SAVED_MODEL_GRAPH = "saved_model.pb"
"""The file by which a folder with a SavedModel is known."""
