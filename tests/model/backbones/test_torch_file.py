"""Files of weights of old PyTorch: read as they were written, and never run."""

from __future__ import annotations

import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.errors import PretrainedError
from harness.model.backbones.torch_file import read_tensors
from tests.model.backbones.torch_writer import (
    MAGIC,
    STORAGES,
    SYSTEM,
    VERSION,
    Call,
    Named,
    Storage,
    pickled,
    raw,
    tensor,
    torch_file,
)


@st.composite
def turned_arrays(draw: st.DrawFn) -> npt.NDArray[Any]:
    """Of any kind, whose axes may lie in memory in any order."""
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=4))
    made = draw(arrays.arrays(np.dtype(draw(st.sampled_from(sorted(STORAGES)))), shape))
    return made.transpose(draw(st.permutations(range(made.ndim))))


def read(folder: Path, content: bytes) -> dict[str, npt.NDArray[Any]]:
    file = folder / "weights"
    file.write_bytes(content)
    return read_tensors(file)


@given(st.dictionaries(st.text(min_size=1), turned_arrays(), max_size=4))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, written: dict[str, npt.NDArray[Any]]
) -> None:
    found = read(tmp_path_factory.getbasetemp(), torch_file(written))
    assert found.keys() == written.keys()
    for name, values in written.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


SMALL = torch_file({"a": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.array(7, "<i8")})


def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    for length in range(len(SMALL)):
        with pytest.raises(PretrainedError, match="weights is not a file of weights"):
            read(tmp_path, SMALL[:length])


def test_what_follows_the_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PretrainedError, match="something follows its end"):
        read(tmp_path, SMALL + b"\0")


@given(st.binary(max_size=200))
def test_anything_else_is_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    with pytest.raises(PretrainedError):
        read(tmp_path_factory.getbasetemp(), content)


@given(st.integers(0, len(SMALL) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_tensors_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    changed = SMALL[:place] + bytes([byte]) + SMALL[place + 1 :]
    try:
        found = read(tmp_path_factory.getbasetemp(), changed)
    except PretrainedError:
        return
    assert all(isinstance(values, np.ndarray) and values.nbytes <= 100 for values in found.values())


def test_no_memory_is_taken_for_the_number_under_which_something_is_remembered(tmp_path: Path) -> None:
    with pytest.raises(PretrainedError, match="remembers something under a number that is too large"):
        read(tmp_path, b"\x80\x02]r\xff\xff\xff\x7f.")


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("place", range(5))
def test_code_is_never_run(tmp_path: Path, place: int) -> None:
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(Hostile(mark), 2))
    assert mark.exists()  # by whoever unpickles it
    mark.unlink()
    parts: list[object] = [MAGIC, VERSION, SYSTEM, {}, []]
    head = [pickled(part) for part in parts]
    head[place] = pickle.dumps(Hostile(mark), 2)
    with pytest.raises(PretrainedError, match=r"it wants (posix|nt)\.system to be run"):
        read(tmp_path, b"".join(head))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"), ("builtins", "getattr"), ("collections", "Counter"), ("torch", "load"),
        ("torch._utils", "_import_dotted_name"), ("torch.storage", "FloatStorage"),
        ("torch", "FloatStorage.__init__"),
    ],
)  # fmt: skip
def test_nothing_but_tensors_is_made(tmp_path: Path, module: str, name: str) -> None:
    head = pickled(MAGIC, VERSION, SYSTEM, {"a": Call(Named(module, name), "1")}, [])
    with pytest.raises(PretrainedError, match="to be run, which weights do not need"):
        read(tmp_path, head)


def file_with(
    storage: Storage,
    offset: object = 0,
    shape: object = (2, 3),
    strides: object = (3, 1),
    keys: object = ("0",),
    elements: int = 6,
) -> bytes:
    """A file of one tensor, which may lie about itself."""
    head = pickled(MAGIC, VERSION, SYSTEM, {"a": tensor(storage, offset, shape, strides)}, list(keys))  # type: ignore[call-overload]
    return head + raw(np.arange(6, dtype="<f4"), elements)


SOUND = Storage("FloatStorage", "0", 6)


def test_the_file_that_the_wrong_ones_are_made_from_is_right(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, file_with(SOUND))["a"], [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (file_with(SOUND, offset=1), "within its storage"),
        (file_with(SOUND, offset=-1), "within its storage"),
        (file_with(SOUND, shape=(3, 3)), "within its storage"),
        (file_with(SOUND, shape=(-2, 3)), "within its storage"),
        (file_with(SOUND, strides=(-3, 1)), "within its storage"),
        (file_with(SOUND, strides=(2**62, 2**62)), "within its storage"),
        (file_with(SOUND, shape=(10**6, 10**6), strides=(0, 0)), "more elements than its storage"),
        (file_with(SOUND, shape=(2, 3), strides=(1,)), "not a file of weights"),
        (file_with(SOUND, shape=(2.0, 3)), "as tensors are"),
        (file_with(SOUND, shape=(True, 3)), "as tensors are"),
        (file_with(SOUND, offset=math.nan), "as tensors are"),
        (file_with(SOUND, elements=7), "another size"),
        (file_with(SOUND, elements=2**63), "another size"),
        (file_with(SOUND, keys=()), "name its storages"),
        (file_with(SOUND, keys=("0", "0")), "name its storages"),
        (file_with(SOUND, keys=("1",)), "name its storages"),
        (file_with(Storage("FloatStorage", "0", 7), elements=7), "cut off"),
        (file_with(Storage("FloatStorage", "0", 2**70)), "unknown kind"),
        (file_with(Storage("FloatStorage", "0", -1)), "unknown kind"),
        (file_with(Storage("FloatStorage", "0", 6, view=("1", 0, 6))), "unknown kind"),
        (file_with(Storage("QInt8Storage", "0", 6)), "torch.QInt8Storage to be run"),
        (pickled(MAGIC + 1, VERSION, SYSTEM, {}, []), "mark of such files"),
        (pickled(MAGIC, 1002, SYSTEM, {}, []), "mark of such files"),
        (pickled(MAGIC, VERSION, SYSTEM | {"little_endian": False}, {}, []), "little-endian"),
        (pickled(MAGIC, VERSION, SYSTEM, {"a": 1}, []), "something else than tensors"),
        (pickled(MAGIC, VERSION, SYSTEM, [1], []), "something else than tensors"),
        (b"PK\x03\x04" + bytes(40), "not a file of weights"),
        (b"", "not a file of weights"),
    ],
)
def test_what_a_file_says_of_its_tensors_must_be_true(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(PretrainedError, match=why) as refusal:
        read(tmp_path, content)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(PretrainedError, match="cannot be read: No such file"):
        read_tensors(tmp_path / "none")
