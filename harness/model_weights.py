"""The weights in a model's file, by name, read without TensorFlow.

A `.keras` file also holds the time at which it was written and the states of random generators, so that two
trainings that agree to the last bit write different files. Their weights are what can be compared.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Weights: TypeAlias = dict[str, npt.NDArray[np.floating[Any]]]

STORED = "model.weights.h5"
"""The part of a `.keras` file that holds the variables of its layers."""


def read_weights(file: Path) -> Weights:
    """The floating-point variables in a `.keras` file by their names in it, such as `layers/dense/vars/0`.

    Keras names layers there by their kind and order in the model, so that the same network has the same names
    in every file. Whole numbers are left out: they are states of random generators.

    Raises:
        OSError: the file cannot be read, or its weights are damaged.
        zipfile.BadZipFile: it is no `.keras` file.
        KeyError: it holds no weights.
    """
    import h5py

    with zipfile.ZipFile(file) as archive:
        content = archive.read(STORED)
    found: Weights = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            found[name] = item[()]

    with h5py.File(io.BytesIO(content), "r") as stored:
        stored.visititems(visit)
    return dict(sorted(found.items()))


def weights_digest(weights: Weights) -> str:
    """SHA-256 (hex) of names, types, shapes and values."""
    found = hashlib.sha256()
    for name, array in sorted(weights.items()):
        found.update(json.dumps([name, array.dtype.str, array.shape]).encode() + b"\n")
        found.update(array.tobytes())
    return found.hexdigest()
