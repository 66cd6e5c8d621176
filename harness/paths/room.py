"""What to do when a disk is full: tell it from other errors, and try again once there is room."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A full disk, a used-up quota, a limit on the size of files."""


def is_full(error: OSError) -> bool:
    """Whether the error says that there is no room."""
    return error.errno in FULL


def lack_of_room(error: BaseException) -> str | None:
    """The system's words for it, if an error of whatever library tells that there is no room; else None.

    TensorFlow, HDF5 and processes of their own pass on what the system has said in errors of their own, or
    raise others while they clean up.
    """
    cause: BaseException | None = error
    while cause is not None:
        said = str(cause)
        for words in map(os.strerror, FULL):
            if words in said:
                return words
        cause = cause.__cause__ or cause.__context__
    return None


def when_there_is_room(action: Callable[[], T], wait: Callable[[OSError], object]) -> T:
    """Call `action`, again and again while the disk is full, with `wait(error)` in between.

    `action` must leave things as they were when it fails.
    """
    while True:
        try:
            return action()
        except OSError as error:
            if not is_full(error):
                raise
            wait(error)


def give_up(error: OSError) -> None:
    """A `wait` that waits for nothing: the error is raised."""
    raise error
