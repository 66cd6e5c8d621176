"""A network of the user's own: `model: package.module:build` in the experiment file.

`build(params, image_shape, num_classes)` returns a `keras.Model` from raw pixels (H, W, C), or of clips
(T, H, W, C), 0…255, to logits (num_classes,). It is imported from the installed packages or the working
directory, in the workers, and only because the experiment file names it.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import keras
import numpy as np

from harness.model.out_of_memory import is_out_of_memory
from harness.records import Params


class PluginError(Exception):
    """The user's builder is at fault; the message names its file and line."""


def build_plugin(params: Params, image_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """Call the builder and check what it returns.

    Raises:
        PluginError: it cannot be imported, raises, or returns something else than a model with logits.
    """
    name = str(params["model"])
    build = _find(name)
    own = {key: value for key, value in params.items() if key not in ("model", "family")}
    try:
        network = build(own, image_shape, num_classes)
    except Exception as error:
        if is_out_of_memory(error):
            raise  # the configuration's fault, not the code's
        raise PluginError(
            f"The model {name} failed at {_place(error.__traceback__)}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(network, keras.Model):
        raise PluginError(f"The model {name} returned a {type(network).__name__}, not a keras.Model.")
    try:
        shapes = tuple(network.input_shape), tuple(network.output_shape)
    except (AttributeError, TypeError, ValueError) as error:
        raise PluginError(
            f"The model {name} has no single input and output. Return a functional keras.Model."
        ) from error
    if shapes[0] != (None, *image_shape):
        raise PluginError(
            f"The model {name} takes inputs of shape {shapes[0][1:]}, but the images are {image_shape}."
        )
    if shapes[1] != (None, num_classes):
        raise PluginError(
            f"The model {name} gives outputs of shape {shapes[1][1:]}; it must be ({num_classes},), one "
            "logit for each class."
        )
    _check_logits(name, network, image_shape)
    return network


def _find(name: str) -> Any:
    module, _, function = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        # Last, so that a file there never takes the place of a module that harness or TensorFlow needs.
        sys.path.append(str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), function, None)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == module.split(".")[0]
        where = (
            f"there is no module {module!r}, neither installed nor in {Path.cwd()}"
            if missing
            else f"{_place(error.__traceback__)}: {type(error).__name__}: {error}"
        )
        raise PluginError(f"The model {name} cannot be imported: {where}.") from error
    if not callable(found):
        raise PluginError(f"The module {module!r} has no function {function!r}.")
    return found


def _check_logits(name: str, network: keras.Model, image_shape: tuple[int, ...]) -> None:
    """Probabilities in place of logits would be squashed a second time by the loss."""
    images = np.random.default_rng(0).uniform(0, 255, (4, *image_shape)).astype(np.float32)
    outputs = np.asarray(keras.ops.convert_to_numpy(network(images, training=False)))
    if outputs.shape[1] > 1 and (outputs >= 0).all() and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        raise PluginError(
            f"The model {name} ends in probabilities (its outputs add up to 1); it must return logits. "
            "Remove the last softmax: harness adds it to the saved model."
        )


def _place(trace: TracebackType | None) -> str:
    """File and line of the innermost frame that is neither ours nor a library's."""
    frames = traceback.extract_tb(trace)
    own = [
        frame for frame in frames if "site-packages" not in frame.filename and "harness" not in frame.filename
    ]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno}"
