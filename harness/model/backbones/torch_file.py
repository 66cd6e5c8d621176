"""Reads the weights that PyTorch's `save` wrote before its version 1.6, with NumPy and without running code.

Such a file is a row of pickles: a magic number, the version, the writer's machine, a dictionary of tensors
that name their storages, and the storages' names; then each storage's number of elements, and its raw values.
"""

from __future__ import annotations

import pickle  # only through `_Tensors`, which can make nothing but tensors
import pickletools
import sys
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import PretrainedError

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
_TYPES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8"}
_COUNT = 8
"""Bytes of the number of elements before a storage's values."""


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    kind: str
    elements: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """In elements, as the offset is."""

    def taken_from(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The tensor, in an array of its own.

        Args:
            values: those of its storage, (n,).
        """
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        elements = prod(self.shape)
        if min((self.offset, *self.shape, *self.strides)) < 0 or (elements and last >= len(values)):
            raise ValueError("a tensor does not lie within its storage")
        if elements > len(values):
            raise ValueError("a tensor has more elements than its storage")
        steps = [step * values.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps).copy()


def read_tensors(file: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a file, by name.

    Raises:
        PretrainedError: the file cannot be read, is no such file, is cut off, or would run code.
    """
    try:
        return _tensors(file.read_bytes())
    except OSError as error:
        raise PretrainedError(f"The weights in {file} cannot be read: {error.strerror}.") from error
    except Exception as error:
        # A pickle that is damaged or hostile may fail in any way.
        raise PretrainedError(
            f"{file} is not a file of weights as PyTorch writes them, or is damaged: {error}."
        ) from error


def _tensors(content: bytes) -> dict[str, npt.NDArray[Any]]:
    stream = BytesIO(content)
    if _load(stream) != MAGIC or _load(stream) != VERSION:
        raise ValueError("it does not begin with the mark of such files")
    if _load(stream).get("little_endian") is not True:
        raise ValueError("its numbers are not little-endian")
    tensors, keys = _load(stream), _load(stream)
    if not isinstance(tensors, dict) or not all(isinstance(one, _Tensor) for one in tensors.values()):
        raise ValueError("it holds something else than tensors")
    if not all(isinstance(name, str) for name in tensors):
        raise ValueError("a tensor's name is no text")
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if len(keys) != len(storages) or set(keys) != set(storages):
        raise ValueError("it does not name its storages")
    values = {key: _values(stream, storages[key]) for key in keys}
    if stream.read(1):
        raise ValueError("something follows its end")
    return {name: tensor.taken_from(values[tensor.storage.key]) for name, tensor in tensors.items()}


def _load(stream: BytesIO) -> Any:
    """The next pickle.

    Raises:
        ValueError: it numbers what it remembers by more than it has bytes, for which memory would be taken.
    """
    began = stream.tell()
    for operation, number, _ in pickletools.genops(stream):
        if operation.name.endswith("PUT") and isinstance(number, int) and number >= stream.tell() - began:
            raise ValueError("it remembers something under a number that is too large")
    stream.seek(began)
    return _Tensors(stream).load()


def _values(stream: BytesIO, storage: _Storage) -> npt.NDArray[Any]:
    kind = np.dtype(_TYPES[storage.kind])
    count = int.from_bytes(stream.read(_COUNT), "little", signed=True)
    if count != storage.elements:
        raise ValueError("a storage has another size than its tensors say")
    content = stream.read(count * kind.itemsize)
    if len(content) != count * kind.itemsize:
        raise ValueError("it is cut off")
    return np.frombuffer(content, kind)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    """What a call of PyTorch's `_rebuild_tensor_v2` stands for."""
    numbers = [offset, *shape, *strides]
    if not isinstance(storage, _Storage) or not all(type(number) is int for number in numbers):
        raise ValueError("a tensor is not described as tensors are")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Tensors(pickle.Unpickler):
    """Makes dictionaries, lists, numbers, texts and tensors, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Stands in for whatever a pickle names."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in {("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_tensor_v2")}:
            return _tensor
        if module == "torch" and name in _TYPES:
            return name
        raise ValueError(f"it wants {module}.{name} to be run, which weights do not need")

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage, by what a pickle says of it."""
        mark, kind, key, _, elements, view = pid
        is_known = mark == "storage" and kind in _TYPES and view is None and isinstance(key, str)
        if not is_known or not 0 <= elements < sys.maxsize:
            raise ValueError("it holds a storage of an unknown kind")
        return _Storage(key, kind, int(elements))
