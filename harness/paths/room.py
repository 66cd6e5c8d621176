"""What to do when a disk is full: tell it from other errors, and try again once there is room."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def is_full(error: OSError) -> bool:
    """Whether the error says that there is no room: a full disk, a used-up quota, a file-size limit."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
