"""What a model family is: how its networks are built, and the parameters that only some families have."""

from __future__ import annotations

import math
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
class Body:
    """The part between pixels and features of networks whose first layers were trained elsewhere.

    Its weights are not trained, so that its features can be computed once and serve many trials; those of its
    last blocks may be trained later.
    """

    parameters: tuple[str, ...]
    """The parameters that decide it."""
    build: Builder
    """From raw pixels (N, H, W, C) in 0…255 and complete parameters to features (N, F): stock layers only;
    scaling is done inside."""
    load: Callable[[keras.Model, Params], None]
    """Gives the layers of a model that `build` was used in their weights, found by the layers' names; raises
    HarnessError if they are not to be had."""
    unfrozen: Callable[[keras.Model, Params], list[list[keras.Layer]]]
    """The layers of a network that `build` was used in that are trained after all, once the layers behind the
    body have been: block by block, the last one first. None if the parameters want none."""
    fingerprint: Callable[[Params], str]
    """The SHA-256 (hex) of those weights; raises HarnessError if they are not to be had."""


@dataclass(frozen=True, slots=True)
class ClipReader:
    """How a family reads the frames of a clip in their order. All layers are stock layers."""

    frame: Builder
    """From scaled pixels of frames (M, H, W, C) and complete parameters to the features of each (M, F): what
    it builds sees all frames alike."""
    sequence: Builder
    """From the features of clips' frames (N, T, F) and complete parameters to those of the clips (N, F′)."""
    multiply_adds: Callable[[Params, int, tuple[int, int, int]], float]
    """From complete parameters, the number of frames, and their height, width and channels, roughly what one
    clip costs."""


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
    longest_side: str | None = None
    """The parameter by which its networks ask for a size of pictures: the pixels of the longer side. Where an
    experiment does not say a size itself, pictures are prepared with the largest value in its space, and at
    least 96. None: any size will do."""
    multiply_adds: Estimate | None = None
    """From complete parameters and height, width and channels, roughly what one image costs on its way
    through the network, by its largest layers, without the body. None: nobody knows."""
    clips: Callable[[Params], ClipReader | None] = lambda _: None
    """From complete parameters to how it reads clips. None: it classifies each frame, and the mean of their
    probabilities is the clip's."""
    body: Body | None = None
    """What comes before `features`, which gets the body's features (N, F) instead of scaled pixels. None:
    all of the network is trained."""

    def work(self, params: Params, image_shape: tuple[int, ...]) -> float | None:
        """Roughly the multiply-adds of one image, or of one clip; None if nobody knows.

        Args:
            params: complete parameters.
            image_shape: height, width, channels; of clips, before them the frames.
        """
        if self.multiply_adds is None:
            return None
        *frames, height, width, channels = image_shape
        picture = height, width, channels
        reader = self.clips(params) if frames else None
        if reader is not None:
            return reader.multiply_adds(params, frames[0], picture)
        return math.prod(frames) * self.multiply_adds(params, picture)
