"""Keras for looking at finished models: imported quietly, never running code that a file brings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.deploy.quiet import without_stderr
from harness.deploy.trained import TrainedModel, check_file
from harness.errors import ExportError
from harness.model.keras_setup import import_keras, import_keras_alone


def load_trained(source: TrainedModel) -> Any:
    """The `keras.Model` of a trial, from raw pixels (0 to 255, N×H×W×C) to class probabilities (N×classes).

    Raises:
        ExportError: the file is missing, is not the one that was written, or cannot be loaded.
        HarnessError: the user's own settings keep Keras from being used.
    """
    check_file(source)
    return load_safely(source.file)


def load_safely(file: Path) -> Any:
    """The `keras.Model` in a `.keras` file; no code that the file brings is run.

    Raises:
        ExportError: the file cannot be loaded.
        HarnessError: the user's own settings keep Keras from being used.
    """
    keras = quiet_keras()
    try:
        # Safe mode refuses Lambda layers, whose code would be unpickled.
        return keras.saving.load_model(file, safe_mode=True)
    except Exception as error:
        # A file with foreign code or damage may fail in any way.
        reason = str(error).strip().split("\n", 1)[0]
        raise ExportError(f"The model file {file} cannot be loaded: {reason}") from error


def load_error(file: Path) -> str:
    """Why the `.keras` file cannot be loaded, in a sentence fragment; empty if it can.

    For harness's own commands: where Keras was not imported before, it is as by `import_keras_alone`.
    """
    keras = quiet_keras(import_keras_alone)
    try:
        keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # noqa: BLE001 - a damaged file may fail in any way
        return str(error).strip().split("\n", 1)[0] or type(error).__name__
    finally:
        keras.backend.clear_session(free_memory=False)  # a full collection takes longer than the loading
    return ""


def quiet_keras(load: Callable[[], Any] = import_keras) -> Any:
    """Keras, without what TensorFlow's C++ side says to standard error while it is imported.

    Args:
        load: imports it.

    Raises:
        HarnessError: the user's own settings make that impossible.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with without_stderr():
        keras = load()
        import tensorflow as tf

        tf.config.list_physical_devices()  # looks for GPUs, and says so
    return keras
