"""A model of one's own as a backbone: a `.keras` file, cut before its last dense layer.

What can be known without Keras is read from the file's description, so that an experiment that names an
unusable model is refused before anything is trained.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import PretrainedError
from harness.messages import shown
from harness.model.backbones.backbone import PREFIX, Backbone
from harness.model.backbones.blocks import by_kernel
from harness.paths import sha256_of
from harness.paths.bundle import KERAS_MODEL

if TYPE_CHECKING:
    import keras

    Network = dict[str, Any]

DESCRIPTION = "config.json"
"""Where Keras describes a model in its file."""
DEFAULT_SIDE = 224
"""For models that take images of any size."""
_CODE = {"Lambda", "__lambda__"}
GREY = f"{PREFIX}grey"
GREY_WEIGHTS = (0.299, 0.587, 0.114)
"""Of red, green and blue, as Pillow makes grey images."""


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A model file that can serve as a backbone."""

    file: Path
    height: int | None
    """Of the images it takes; None for any."""
    width: int | None
    channels: int
    head: str
    """Its last dense layer."""


def own_backbone(path: str) -> Backbone:
    """A backbone from a model of one's own.

    Args:
        path: of a `.keras` file, or of a folder with one as `harness export` writes it.

    Raises:
        PretrainedError: there is none, or it cannot serve as a backbone.
    """
    place = os.path.expanduser(path)  # noqa: PTH111 - any text, also one that cannot be a path
    model = _described(Path(place, KERAS_MODEL) if os.path.isdir(place) else Path(place))  # noqa: PTH112
    sides = [side for side in (model.height, model.width) if side is not None]
    return Backbone(
        name=path,
        about=f"The model {path}, cut before its layer {model.head}.",
        sizes=(max(sides, default=DEFAULT_SIDE),),
        licence="yours",
        source=f"the file {model.file}",
        build=partial(_build, model),
        blocks=partial(by_kernel, apart={GREY}),
        fingerprint=partial(_fingerprint, model),
        load=partial(_load, model),
        takes=(model.height, model.width) if model.height and model.width else None,
    )


def _described(file: Path) -> OwnModel:
    """What a file says of its model."""
    try:
        with zipfile.ZipFile(file) as archive:
            described = json.loads(archive.read(DESCRIPTION))
    except OSError as error:
        raise PretrainedError(f"The model {file} cannot be read: {error.strerror}.") from error
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise PretrainedError(
            f"{file} is not a model as Keras saves it (a .keras file), or is damaged ({error})."
        ) from error
    foreign = next(_foreign(described.get("config") if isinstance(described, dict) else None), None)
    if foreign:
        raise PretrainedError(
            f"The model {file} cannot be a backbone: its part {foreign} is not one of Keras's own, and no "
            "code that a model brings is run."
        )
    try:
        return _own_model(file, described)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise PretrainedError(
            f"The model {file} cannot be a backbone: it must be a functional or sequential model from one "
            f"image to the outputs of a dense layer ({error})."
        ) from error


def _foreign(described: Any) -> Iterator[str]:
    """The names of the classes and functions that are not Keras's own, or that bring code of theirs."""
    if isinstance(described, list):
        for part in described:
            yield from _foreign(part)
    elif isinstance(described, dict):
        module, name = described.get("module"), described.get("class_name")
        if name == "function":  # Keras's own functions stand there by their names alone
            yield shown(described.get("config"))
        elif name in _CODE or (isinstance(module, str) and module.split(".")[0] not in {"keras", "builtins"}):
            yield shown(name)
        for part in described.values():
            yield from _foreign(part)


def _own_model(file: Path, described: Network) -> OwnModel:
    layers = {layer["config"]["name"]: layer for layer in described["config"]["layers"]}
    kind = described["class_name"]
    if kind == "Sequential":
        head = _last_in_row(list(layers.values()))
        shape = described["build_config"]["input_shape"]
    elif kind in ("Functional", "Model"):
        (start,) = _references(described["config"]["input_layers"])
        head = _last_in_graph(layers, described["config"]["output_layers"])
        shape = layers[start]["config"]["batch_shape"]
    else:
        raise ValueError(f"it is a {kind}")
    _, height, width, channels = shape
    if channels not in (1, 3):
        raise ValueError(f"it takes images of {channels} channels, not of 1 or 3")
    return OwnModel(file, height, width, channels, head)


def _last_in_row(layers: list[Network]) -> str:
    dense = [layer["config"]["name"] for layer in layers if layer["class_name"] == "Dense"]
    if not dense:
        raise ValueError("it has no dense layer")
    return str(dense[-1])


def _last_in_graph(layers: dict[str, Network], outputs: Any) -> str:
    """The dense layer that alone decides on the output, going back from it."""
    (name,) = _references(outputs)
    while layers[name]["class_name"] != "Dense":
        sources = set(_references(layers[name]["inbound_nodes"]))
        if len(sources) != 1:
            raise ValueError(
                f"its layer {name} comes after the last dense layer, and has {len(sources)} inputs"
            )
        (name,) = sources
    return name


def _references(part: Any) -> list[str]:
    """The layers whose outputs a part of the description refers to."""
    if isinstance(part, dict):
        if "keras_history" in part:
            return [part["keras_history"][0]]
        part = list(part.values())
    if not isinstance(part, list):
        return []
    if len(part) == 3 and isinstance(part[0], str) and isinstance(part[1], int):
        return [part[0]]
    return [name for inner in part for name in _references(inner)]


def _build(model: OwnModel, pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Raw pixels (N, H, W, 3) in 0…255 to what the head would get.

    Images of another size than the model takes are stretched or shrunk to it, and colours become grey for a
    model of grey images.
    """
    import keras

    from harness.model.backbones.grafting import graft

    x, (height, width) = pixels, pixels.shape[1:3]
    wanted = (model.height or height, model.width or width)
    if wanted != (height, width):
        # Unless it is told otherwise it takes every call for one in training, and all layers after it do the
        # same: batch norms would not use the statistics that they have learned.
        x = keras.layers.Resizing(*wanted, name=f"{PREFIX}fitting")(x, training=False)
    if model.channels == 1:
        x = keras.layers.Conv2D(1, 1, use_bias=False, trainable=False, name=GREY)(x)
    return graft(_cut(model), x)


def _load(model: OwnModel, network: keras.Model) -> None:
    """Gives the model's weights to a network in which `_build` was called."""
    import numpy as np

    from harness.model.backbones.grafting import transplant

    if model.channels == 1:
        weights = np.array(GREY_WEIGHTS, np.float32).reshape(1, 1, 3, 1)
        network.get_layer(GREY).set_weights([weights])
    transplant(_cut(model), network)


def _cut(model: OwnModel) -> keras.Model:
    """The model without its head and what follows it."""
    import keras

    try:
        # Safe mode refuses code that would be unpickled.
        whole = keras.saving.load_model(model.file, compile=False, safe_mode=True)
    except Exception as error:
        # A file with damage may fail in any way.
        reason = str(error).strip().split("\n", 1)[0]
        raise PretrainedError(f"The model {model.file} cannot be loaded: {reason}") from error
    return keras.Model(whole.inputs[0], whole.get_layer(model.head).input)


def _fingerprint(model: OwnModel) -> str:
    try:
        return sha256_of(model.file)
    except OSError as error:
        raise PretrainedError(f"The model {model.file} cannot be read: {error.strerror}.") from error
