"""How TensorFlow says that there is no memory left, on the machine or on its GPU."""

from __future__ import annotations

import tensorflow as tf

ON_GPU = (
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "RESOURCE_EXHAUSTED",
    "failed with status: out of memory",
)
"""What other errors say when it is a GPU's memory that CUDA or its libraries find none of."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that there was not memory enough."""
    if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
        return True
    return isinstance(error, tf.errors.OpError) and any(said in str(error) for said in ON_GPU)
