"""The GPU of this process, and what has been taken of its memory."""

from __future__ import annotations

import os

import tensorflow as tf

from harness.records import Device
from harness.train.program import Program

TENSOR_CORES = 8
"""The compute capability, its first number, from which a GPU has bfloat16 and TensorFloat-32."""


def used_device(program: Program) -> Device | None:
    """The GPU that the program was trained on, and how; None if it was a processor."""
    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return None
    details = tf.config.experimental.get_device_details(devices[0])
    capability = details.get("compute_capability") or ()
    build = tf.sysconfig.get_build_info()
    rounds = tf.config.experimental.tensor_float_32_execution_enabled()
    return Device(
        model=str(details.get("device_name", "GPU")),
        capability=".".join(map(str, capability)),
        precision=program.precision,
        tensor_float_32=(
            rounds and capability >= (TENSOR_CORES, 0) and os.environ.get("NVIDIA_TF32_OVERRIDE") != "0"
        ),
        xla=program.is_fused,
        cuda=str(build.get("cuda_version", "")),
        cudnn=str(build.get("cudnn_version", "")),
        peak_bytes=_peak(),
    )


def _peak() -> int | None:
    """The most bytes that tensors have taken on the GPU since the process began; None: nobody counts."""
    try:
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    except (ValueError, KeyError):  # an allocator of the driver's own, which keeps no count
        return None
