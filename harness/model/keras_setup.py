"""Keras as harness means it, whatever the user's own settings are.

Keras reads its backend, the type of its weights and the order of an image's axes from `~/.keras/keras.json`
and from the environment. Networks here are TensorFlow's, of float32, with channels last; otherwise axes
would be mistaken for one another without a word. Every process that touches Keras imports it through here
first.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from harness.errors import HarnessError

BACKEND = "tensorflow"
UNUSED = ("IPython", "matplotlib", "pandas", "sklearn")
"""Packages that Keras imports wherever they are installed, for drawings, tables and wrappers that no training
uses. They are two fifths of the time that importing Keras takes, and a fifth of the memory."""


def import_keras() -> Any:
    """Keras with TensorFlow, float32 and channels last.

    Raises:
        HarnessError: this process uses Keras with another backend already, or the user's `keras.json` is such
            that Keras cannot be imported.
    """
    os.environ["KERAS_BACKEND"] = BACKEND
    known = sys.modules.get("keras")
    if known is not None and known.config.backend() != BACKEND:
        raise HarnessError(
            f"Keras is in use here with the backend {known.config.backend()}, but harness needs "
            f"{BACKEND}. Use a process of its own, or set KERAS_BACKEND={BACKEND} before keras is imported."
        )
    try:
        import keras
    except ValueError as error:
        home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
        raise HarnessError(
            f"Keras cannot be imported with the settings in {home / 'keras.json'}: {error} Mend that file, "
            "or delete it."
        ) from error
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    return keras


def import_keras_alone() -> Any:
    """As `import_keras`, but without the packages of `UNUSED`, which can be imported afterwards.

    Only for processes that harness starts for itself: Keras goes on in them as if it were alone, so that its
    wrappers of scikit-learn, for example, say that scikit-learn is not installed.

    Raises:
        HarnessError: as `import_keras`.
    """
    hidden = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: there is no such module
    try:
        return import_keras()
    finally:
        for name in hidden:
            del sys.modules[name]
