"""Checkpoints: everything a trial needs to go on, in one file of plain arrays.

Every epoch has a file of its own, written aside, read back, synced and renamed; its SHA-256 travels in
the event log. The coordinator, which knows what the log holds, removes all but the last two.

The file is a line that names the format, a line of JSON (epoch, number of weights, and dtype and shape of
every array), and the arrays' bytes one after the other, C-contiguous. It is written after every epoch, so it
must cost little.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import StudyError
from harness.paths.study import checkpoint_name
from harness.records import Checkpoint
from harness.study_files import StudyFiles

MAGIC = b"harness checkpoint 1\n"

Arrays = list[npt.NDArray[Any]]


def save(
    files: StudyFiles, trial: int, epoch: int, attempt: int, weights: Arrays, optimizer: Arrays
) -> Checkpoint:
    """Write a trial's state after `epoch`; durable when this returns.

    Args:
        files: of the study.
        trial: whose state it is.
        epoch: 1-based.
        attempt: the one that writes, so that two that overlap never write the same file.
        weights: of the network.
        optimizer: the optimizer's variables.

    Raises:
        OSError: the disk is full, for example; nothing is left behind.
    """
    name = checkpoint_name(trial, epoch, attempt)
    content = _encode(epoch, weights, optimizer)

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)
        if temporary.read_bytes() != content:
            raise OSError(errno.EIO, "what was read back differs from what was written", str(temporary))

    files.write(name, write)
    return Checkpoint(file=name, sha256=hashlib.sha256(content).hexdigest(), epoch=epoch)


def load(files: StudyFiles, checkpoint: Checkpoint) -> tuple[Arrays, Arrays]:
    """The weights and the optimizer's variables in a checkpoint of a study.

    Raises:
        StudyError: the file is missing, damaged, or not the one that was recorded.
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
        epoch, weights, optimizer = _decode(content)
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(f"The checkpoint {file} cannot be read: {error}") from error
    if epoch != checkpoint.epoch:
        raise StudyError(f"The checkpoint {file} is of epoch {epoch}, not {checkpoint.epoch}.")
    return weights, optimizer


def _encode(epoch: int, weights: Arrays, optimizer: Arrays) -> bytes:
    arrays = [np.asarray(array, order="C") for array in (*weights, *optimizer)]
    header = {
        "epoch": epoch,
        "weights": len(weights),
        "arrays": [[array.dtype.str, array.shape] for array in arrays],
    }
    # One copy of everything; array by array, or in a zip file, it would take several times the time.
    return b"".join([MAGIC, json.dumps(header).encode(), b"\n", *(array.data for array in arrays)])


def _decode(content: bytes) -> tuple[int, Arrays, Arrays]:
    magic, line, data = content.split(b"\n", 2)
    if magic + b"\n" != MAGIC:
        raise ValueError("it is of another version of harness")
    header = json.loads(line)
    arrays: Arrays = []
    place = 0
    for name, shape in header["arrays"]:
        array = np.frombuffer(data, np.dtype(name), math.prod(shape), place).reshape(shape)
        arrays.append(array)
        place += array.nbytes
    return int(header["epoch"]), arrays[: header["weights"]], arrays[header["weights"] :]
