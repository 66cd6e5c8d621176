"""The only ways to write a file that must survive a crash: written aside, synced, renamed."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from harness.errors import HarnessError
from harness.paths.room import is_full

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600
_MARK = ".tmp-"
UNFINISHED = f"{_MARK}*"
"""A pattern of the names that unfinished work has."""


def make_folder(folder: Path) -> Path:
    """Create `folder` (private to the user) and its parents.

    Raises:
        OSError: there is no room; the caller may wait for it.
        HarnessError: it cannot be done for another reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    except OSError as error:
        if is_full(error):
            raise
        raise HarnessError(
            f"The folder {folder} cannot be created ({error.strerror}). "
            "Check its permissions, or work in another folder."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise HarnessError(
            f"The folder {folder} cannot be written to. Check its permissions, or work in another folder."
        )
    return folder


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(file: Path) -> None:
    """Make the content of `file` durable."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make everything in `folder` durable, and the folder's own entries."""
    for entry in sorted(folder.rglob("*")):
        if entry.is_file():
            sync_file(entry)
        else:
            sync_folder(entry)
    sync_folder(folder)


def temporary_beside(target: Path) -> Path:
    """A new name in the same folder, with the same suffix, that marks unfinished work."""
    return target.with_name(f"{_MARK}{uuid.uuid4().hex[:8]}-{target.name}")


def unfinished_in(folder: Path) -> list[Path]:
    """What processes that were killed had begun to write in a folder or below it, sorted."""
    return sorted(folder.rglob(UNFINISHED))


def write_file(target: Path, write: Callable[[Path], object]) -> None:
    """Let `write(temporary)` make a file, then fsync it and rename it to `target`, all or nothing."""
    temporary = temporary_beside(target)
    try:
        write(temporary)
        sync_file(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8, all or nothing."""
    write_file(target, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def fill_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Make `folder`, let `write(folder)` fill it, then fsync every file.

    `folder` must not exist. On an error it is removed and the error raised.
    """
    folder.mkdir(parents=True)
    try:
        write(folder)
        sync_tree(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_folder(target: Path, write: Callable[[Path], object]) -> None:
    """Let `write(temporary)` fill a folder and rename it to `target`, all or nothing.

    `target` must not exist. On an error the temporary folder is removed and the error raised.
    """
    temporary = temporary_beside(target)
    fill_folder(temporary, write)
    try:
        temporary.replace(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(target.parent)
