"""A full disk is told from other troubles, whichever library tells of it."""

from __future__ import annotations

import errno
import os

import pytest

from harness.paths import lack_of_room


def _masked(hidden: Exception) -> Exception:
    """The error of a clean-up that hides another one."""
    try:
        try:
            raise hidden
        finally:
            raise ValueError("the archive is still open")
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "file"), os.strerror(errno.ENOSPC)),
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), os.strerror(errno.EFBIG)),
        (RuntimeError(f"x/1.data: {os.strerror(errno.ENOSPC)} [Op:Save]"), os.strerror(errno.ENOSPC)),
        (_masked(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))), os.strerror(errno.EDQUOT)),
        (OSError(errno.EACCES, os.strerror(errno.EACCES)), None),
        (_masked(KeyError("no such thing")), None),
    ],
)
def test_a_lack_of_room_is_found_in_errors_of_all_libraries(error: Exception, words: str | None) -> None:
    assert lack_of_room(error) == words
