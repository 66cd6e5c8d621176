"""What a model family is: how its networks are built, and the parameters that only some families have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from harness.model.parameter import Parameter
from harness.records import Params

if TYPE_CHECKING:
    import keras

    Builder: TypeAlias = Callable[[keras.KerasTensor, Params], keras.KerasTensor]

Estimate: TypeAlias = Callable[[Params, tuple[int, int, int]], float]


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of network.

    A family's module is imported by whatever reads an experiment file, so it imports Keras only inside of its
    functions.
    """

    about: str
    """A sentence for people."""
    parameters: tuple[Parameter, ...]
    """Those that have an effect on this family but not on every one. Families may share a name, if they agree
    on its kind, its default and its values."""
    features: Builder
    """From scaled pixels (N, H, W, C) and complete parameters to the features (N, F) from which a dense layer
    makes the logits. Only stock layers, so that a saved model loads without harness. L1, L2 and weight decay
    are not part of the network: the training step applies them."""
    multiply_adds: Estimate | None = None
    """From complete parameters and height, width and channels, roughly what one image costs on its way
    through the network, by its largest layers. None: nobody knows."""
