"""Keras for looking at finished models: imported quietly, never running code that a file brings."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from harness.model.keras_setup import import_keras


def load_error(file: Path) -> str:
    """Why the `.keras` file cannot be loaded, in a sentence fragment; empty if it can."""
    keras = quiet_keras()
    try:
        # Safe mode refuses Lambda layers, whose code would be unpickled.
        keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # noqa: BLE001 - a damaged file may fail in any way
        return str(error).strip().split("\n", 1)[0] or type(error).__name__
    finally:
        keras.backend.clear_session(free_memory=False)  # a full collection takes longer than the loading
    return ""


def quiet_keras() -> Any:
    """Keras, without what TensorFlow's C++ side says to standard error while it is imported.

    Raises:
        HarnessError: the user's own settings make that impossible.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    silent = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silent, 2)
        keras = import_keras()
        import tensorflow as tf

        tf.config.list_physical_devices()  # looks for GPUs, and says so
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silent)
    return keras
