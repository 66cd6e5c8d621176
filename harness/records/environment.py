"""What a session's numbers depend on beside its experiment, its data and the versions of its packages."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The machine that a session is run on, and how its workers compute."""

    processor: str
    """The model of the processor."""
    instruction_sets: tuple[str, ...]
    """Those of the processor by which numerical libraries choose their kernels, sorted."""
    cores: int
    """Cores that the session may use."""
    gpus: tuple[str, ...]
    """The models of the GPUs that it may use."""
    gpu_driver: str
    """The version of their driver; empty without one."""
    workers: int
    """Processes that train side by side."""
    threads: int
    """Threads that compute one operation in each worker."""
    threads_between: int
    """Operations that a worker computes at a time."""
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables that are set and decide how TensorFlow, oneDNN and CUDA compute."""
    code: dict[str, str] = field(default_factory=dict)
    """SHA-256 (hex) of code that may change without a version: that of harness itself, and the module of a
    network of the user's own, by its name."""
