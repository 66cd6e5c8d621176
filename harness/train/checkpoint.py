"""Checkpoints: everything a trial needs to go on, in one `.npz` of plain arrays.

Every epoch has a file of its own, written aside, read back, synced and renamed; its SHA-256 travels in
the event log. The coordinator, which knows what the log holds, removes all but the last two.

The file holds `contents`, JSON as uint8 (epoch, number of weights, and dtype and shape of every array),
and `data`, the arrays one after the other: one array per variable would cost several times the time.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import StudyError
from harness.paths import make_folder, sha256_of, write_file
from harness.records import Checkpoint

Arrays = list[npt.NDArray[Any]]


def save(
    study_folder: Path, trial_folder: Path, epoch: int, attempt: int, weights: Arrays, optimizer: Arrays
) -> Checkpoint:
    """Write the state after `epoch`; durable when this returns.

    Raises:
        OSError: the disk is full, for example; nothing is left behind.
    """
    make_folder(trial_folder)
    target = trial_folder / f"checkpoint-{epoch:05d}-{attempt}.npz"
    content = _encode(epoch, weights, optimizer)

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)
        if temporary.read_bytes() != content:
            raise OSError(errno.EIO, "what was read back differs from what was written", str(temporary))

    write_file(target, write)
    return Checkpoint(
        file=str(target.relative_to(study_folder)), sha256=hashlib.sha256(content).hexdigest(), epoch=epoch
    )


def load(study_folder: Path, checkpoint: Checkpoint) -> tuple[Arrays, Arrays]:
    """The weights and the optimizer's variables.

    Raises:
        StudyError: the file is missing, damaged, or not the one that was recorded.
    """
    file = study_folder / checkpoint.file
    if not file.is_file():
        raise StudyError(f"The checkpoint {file} is missing.")
    if sha256_of(file) != checkpoint.sha256:
        raise StudyError(f"The checkpoint {file} is damaged or not the recorded one: its SHA-256 differs.")
    try:
        epoch, weights, optimizer = _decode(file)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise StudyError(f"The checkpoint {file} cannot be read: {error}") from error
    if epoch != checkpoint.epoch:
        raise StudyError(f"The checkpoint {file} is of epoch {epoch}, not {checkpoint.epoch}.")
    return weights, optimizer


def _encode(epoch: int, weights: Arrays, optimizer: Arrays) -> bytes:
    arrays = [np.asarray(array) for array in (*weights, *optimizer)]
    contents = {
        "epoch": epoch,
        "weights": len(weights),
        "arrays": [[array.dtype.str, array.shape] for array in arrays],
    }
    stream = io.BytesIO()
    np.savez(
        stream,
        allow_pickle=False,
        contents=np.frombuffer(json.dumps(contents).encode(), np.uint8),
        data=np.frombuffer(b"".join(array.tobytes() for array in arrays), np.uint8),
    )
    return stream.getvalue()


def _decode(file: Path) -> tuple[int, Arrays, Arrays]:
    with np.load(file, allow_pickle=False) as stored:
        contents, data = json.loads(stored["contents"].tobytes()), stored["data"].tobytes()
    arrays: Arrays = []
    place = 0
    for name, shape in contents["arrays"]:
        array = np.frombuffer(data, np.dtype(name), math.prod(shape), place).reshape(shape)
        arrays.append(array)
        place += array.nbytes
    return int(contents["epoch"]), arrays[: contents["weights"]], arrays[contents["weights"] :]
