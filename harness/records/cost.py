"""What a configuration's network costs, counted from its layers before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one image costs, and what the network has; floats, since a question is answered with floats."""

    pixels: float
    """Numbers that the network is trained on of an image: height × width × channels, or its features."""
    forward: float
    """Multiply-adds on an image's way through the network."""
    backward: float
    """Multiply-adds of the gradients: of weights, and of activations where something trainable is before."""
    written_bytes: float
    """Bytes of float32 that layers write on an image's way through the network."""
    kept_bytes: float
    """Those of `written_bytes` that are kept for the backward pass."""
    largest_bytes: float
    """Bytes that the largest layer reads and writes of an image."""
    operations: float
    """Layers that compute something, in one forward pass; a recurrent layer counts once."""
    iterations: float
    """Steps of recurrent loops, of all recurrent layers together."""
    loops: float
    """Recurrent loops: two of a layer that reads both ways."""
    parameters: float
    """Weights of the network."""
    trained: float
    """Those of `parameters` that are trained."""
    body_forward: float = 0.0
    """Multiply-adds of the part that is not trained, whose features are computed once for every view of an
    image; the fields above, but for `parameters`, are without it."""
    body_bytes: float = 0.0
    """Bytes of float32 that its layers write for an image."""
    body_largest_bytes: float = 0.0
    """Bytes that the largest of its layers reads and writes of an image."""
    body_operations: float = 0.0
    """Its layers that compute something."""

    @property
    def multiply_adds(self) -> float:
        """Multiply-adds of an image in training: forward and backward."""
        return self.forward + self.backward

    @classmethod
    def of(cls, found: Mapping[str, float]) -> Cost:
        """From the figures of an answer; raises KeyError if one is missing."""
        return cls(**{field.name: float(found[field.name]) for field in fields(cls)})
