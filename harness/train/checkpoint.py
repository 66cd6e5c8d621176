"""Checkpoints: everything a trial needs to go on, in one file of plain arrays.

Every epoch has a file of its own, written aside, read back, synced and renamed; its SHA-256 travels in
the event log. The coordinator, which knows what the log holds, removes all but the last two.

The file is a line that names the format, a line of JSON (epoch, and name, dtype and shape of every array),
and the arrays' bytes one after the other, C-contiguous. It is written after every epoch, so it must cost
little. Files of format 1, which versions before 0.4.0 wrote, have no names: their arrays stand in the order
in which a program names them.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.errors import StudyError
from harness.paths.study import checkpoint_name
from harness.records import Checkpoint
from harness.study_files import StudyFiles
from harness.train.state import State

MAGIC, WITHOUT_NAMES = b"harness checkpoint 2\n", b"harness checkpoint 1\n"


def save(files: StudyFiles, trial: int, epoch: int, attempt: int, state: State) -> Checkpoint:
    """Write a trial's state after `epoch`; durable when this returns.

    Args:
        files: of the study.
        trial: whose state it is.
        epoch: 1-based.
        attempt: the one that writes, so that two that overlap never write the same file.
        state: all that is needed to go on.

    Raises:
        OSError: the disk is full, for example; nothing is left behind.
    """
    name = checkpoint_name(trial, epoch, attempt)
    content = _encode(epoch, state)

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)
        if temporary.read_bytes() != content:
            raise OSError(errno.EIO, "what was read back differs from what was written", str(temporary))

    files.write(name, write)
    return Checkpoint(file=name, sha256=hashlib.sha256(content).hexdigest(), epoch=epoch)


def load(files: StudyFiles, checkpoint: Checkpoint, names: Sequence[str]) -> State:
    """The state in a checkpoint of a study.

    Args:
        files: of the study.
        checkpoint: as it was recorded.
        names: of the state that the caller expects, in its order, for a file without names.

    Raises:
        StudyError: the file is missing, damaged, or not the one that was recorded; or it has no names, and
            not as many arrays as are expected.
    """
    file = files.shown(checkpoint.file)
    try:
        content = files.read(checkpoint.file)
    except FileNotFoundError as error:
        raise StudyError(f"The checkpoint {file} is missing.") from error
    except OSError as error:
        raise StudyError(f"The checkpoint {file} cannot be read: {error.strerror}.") from error
    if hashlib.sha256(content).hexdigest() != checkpoint.sha256:
        raise StudyError(f"The checkpoint {file} is damaged or not the recorded one: its SHA-256 differs.")
    try:
        epoch, state = _decode(content, names)
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(f"The checkpoint {file} cannot be read: {error}.") from error
    if epoch != checkpoint.epoch:
        raise StudyError(f"The checkpoint {file} is of epoch {epoch}, not {checkpoint.epoch}.")
    return state


def _encode(epoch: int, state: State) -> bytes:
    arrays = {name: np.asarray(array, order="C") for name, array in state.items()}
    header = {
        "epoch": epoch,
        "arrays": [[name, array.dtype.str, array.shape] for name, array in arrays.items()],
    }
    # One copy of everything; array by array, or in a zip file, it would take several times the time.
    return b"".join([MAGIC, json.dumps(header).encode(), b"\n", *(array.data for array in arrays.values())])


def _decode(content: bytes, names: Sequence[str]) -> tuple[int, State]:
    magic, line, data = content.split(b"\n", 2)
    header = json.loads(line)
    described = header["arrays"]
    if magic + b"\n" == WITHOUT_NAMES:
        if len(described) != len(names):
            raise ValueError(f"it has {len(described)} arrays and no names, and the network {len(names)}")
        described = [[name, *known] for name, known in zip(names, described, strict=True)]
    elif magic + b"\n" != MAGIC:
        raise ValueError("it is of another version of harness")
    state: State = {}
    place = 0
    for name, dtype, shape in described:
        array = np.frombuffer(data, np.dtype(dtype), math.prod(shape), place).reshape(shape)
        state[name] = array
        place += array.nbytes
    return int(header["epoch"]), state
