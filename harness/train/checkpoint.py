"""Checkpoints: everything a trial needs to go on, in one `.npz` of plain arrays.

Every epoch has a file of its own, written aside, read back, synced and renamed; its SHA-256 travels in
the event log. The coordinator, which knows what the log holds, removes all but the last two.
"""

from __future__ import annotations

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
    arrays = {f"w{index:04d}": array for index, array in enumerate(weights)}
    arrays |= {f"o{index:04d}": array for index, array in enumerate(optimizer)}

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays, epoch=np.int64(epoch))
        _read(temporary)

    write_file(target, write)
    return Checkpoint(file=str(target.relative_to(study_folder)), sha256=sha256_of(target), epoch=epoch)


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
    epoch, weights, optimizer = _read(file)
    if epoch != checkpoint.epoch:
        raise StudyError(f"The checkpoint {file} is of epoch {epoch}, not {checkpoint.epoch}.")
    return weights, optimizer


def _read(file: Path) -> tuple[int, Arrays, Arrays]:
    try:
        with np.load(file, allow_pickle=False) as stored:
            names = sorted(stored.files)
            weights = [stored[name] for name in names if name.startswith("w")]
            optimizer = [stored[name] for name in names if name.startswith("o")]
            return int(stored["epoch"]), weights, optimizer
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise StudyError(f"The checkpoint {file} cannot be read: {error}") from error
