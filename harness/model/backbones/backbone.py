"""What a backbone is: a pretrained network without its head, and where its weights come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import keras

    Builder: TypeAlias = Callable[[keras.KerasTensor], keras.KerasTensor]
    Grouping: TypeAlias = Callable[[keras.Model], list[list[keras.Layer]]]
    Loader: TypeAlias = Callable[[keras.Model], None]

PREFIX = "backbone_"
"""The names of all layers of a backbone begin with this, whatever network they are part of."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """A pretrained network without its head.

    A backbone's module is imported by whatever reads an experiment file, so it imports Keras only inside of
    its functions.
    """

    name: str
    """As it is registered, or the path that it was found by."""
    about: str
    """A sentence for people."""
    sizes: tuple[int, ...]
    """The sides in pixels of the square images that it was trained with, the default first. Others work
    too."""
    licence: str
    """Of the weights, for people."""
    source: str
    """Where the weights come from, for people."""
    build: Builder
    """Puts the backbone on raw pixels (N, H, W, 3), float32 in 0…255, H and W at least 32; gives the feature
    map (N, h, w, C), or features (N, C).

    It scales the pixels itself. The layers are Keras's own, each of them one of the network in which this is
    called (no model inside the model), with names that begin with `PREFIX` and are the same in every process.
    Their weights are random."""
    blocks: Grouping
    """The layers of a network in which `build` was called that have weights of the backbone, from input to
    output, in groups that may be trained one after the other, the last ones first."""
    fingerprint: Callable[[], str]
    """The SHA-256, in hex, of the file with the weights, which is downloaded if need be.

    Raises PretrainedError if the weights are not to be had or are not the right ones."""
    load: Loader
    """Gives the pretrained weights to a network in which `build` was called, or to a copy of it, by the names
    of the layers.

    Raises PretrainedError as `fingerprint` does, or if the weights do not fit."""
    takes: tuple[int, int] | None = None
    """Height and width of the only images that suit it: others are stretched to them. None: any do."""
