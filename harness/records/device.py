"""The GPU that a segment was trained on, as its worker has found it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.records.basic import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What of a GPU, and of how it computes, a segment's numbers depend on."""

    model: str
    """Its name, as TensorFlow tells it."""
    capability: str
    """CUDA's compute capability, such as `8.0`; empty where TensorFlow does not tell."""
    precision: Precision
    """What layers computed with in training."""
    tensor_float_32: bool
    """Whether products of float32 were computed with the ten bits of TensorFloat-32."""
    xla: bool
    """Whether the training step was compiled by XLA."""
    cuda: str
    """The version of CUDA that TensorFlow was built for."""
    cudnn: str
    """The version of cuDNN that TensorFlow was built for."""
    peak_bytes: int | None = None
    """The most of its memory that the worker's tensors have taken since it started; None: it is not known."""

    @property
    def described(self) -> str:
        """What tells it from devices that may compute other numbers, in words."""
        about = [f"compute capability {self.capability}"] if self.capability else []
        about += [self.precision]
        about += ["TensorFloat-32"] if self.tensor_float_32 else []
        about += ["XLA"] if self.xla else []
        return f"{self.model} ({', '.join([*about, f'CUDA {self.cuda}', f'cuDNN {self.cudnn}'])})"
