"""TensorFlow as a process that trains needs it."""

from __future__ import annotations

import sys

from harness.engine.environment import OPERATIONS_AT_A_TIME
from harness.engine.sharing import grows
from harness.errors import HarnessError
from harness.model.keras_setup import import_keras_alone


def prepare_tensorflow(threads: int) -> None:
    """Import TensorFlow with `threads` threads an operation; on a GPU take memory as it is needed.

    TF_FORCE_GPU_ALLOW_GROWTH=false is TensorFlow's own way to take all memory at once, and holds.

    If that cannot be, the process ends with a sentence on standard error.
    """
    try:
        import_keras_alone()
    except HarnessError as error:
        sys.exit(str(error))
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(OPERATIONS_AT_A_TIME)
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, grows())
        tf.config.experimental.enable_op_determinism()
