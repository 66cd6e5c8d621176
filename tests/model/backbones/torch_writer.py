"""Writes files of weights as PyTorch did before 1.6, without PyTorch."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
STORAGES = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<f2": "HalfStorage", "<i8": "LongStorage"}


class Named:
    """Pickled as something of a module that is not there."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Storage:
    def __init__(self, kind: str, key: str, elements: int, view: object = None) -> None:
        self.told = ("storage", Named("torch", kind), key, "cpu", elements, view)


class Call:
    """Pickled as the result of a call."""

    def __init__(self, function: Named, *arguments: object) -> None:
        self.function, self.arguments = function, arguments


class Writer(pickle._Pickler):  # the one in Python can be told how to write a name
    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, 2)

    def persistent_id(self, obj: object) -> Any:
        return obj.told if isinstance(obj, Storage) else None

    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Named):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(tuple(obj.arguments))
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def pickled(*objects: object) -> bytes:
    stream = io.BytesIO()
    for one in objects:
        Writer(stream).dump(one)
    return stream.getvalue()


def tensor(storage: Storage, offset: object, shape: object, strides: object) -> Call:
    rebuild = Named("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, storage, offset, shape, strides, False, OrderedDict())


def raw(values: npt.NDArray[Any], elements: int | None = None) -> bytes:
    """A storage's values behind their number."""
    return (values.size if elements is None else elements).to_bytes(8, "little") + values.tobytes()


def torch_file(tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """A file of arrays, which lie in memory in the order that they do here."""
    named, storages = OrderedDict(), {}
    for number, (name, values) in enumerate(tensors.items()):
        order = sorted(range(values.ndim), key=lambda axis: -values.strides[axis])
        held = np.ascontiguousarray(values.transpose(order))
        key = str(1000 + number)
        strides = tuple(int(step) // values.itemsize for step in values.strides)
        storage = Storage(STORAGES[values.dtype.str], key, values.size)
        named[name] = tensor(storage, 0, tuple(map(int, values.shape)), strides)
        storages[key] = held
    head = pickled(MAGIC, VERSION, SYSTEM, named, list(storages))
    return head + b"".join(map(raw, storages.values()))
