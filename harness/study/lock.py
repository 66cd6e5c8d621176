"""The study's lock: one coordinator at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import StudyError
from harness.paths import StudyPaths, write_text

ANOTHER_LOOK_SECONDS = 0.5
"""Seconds for which a held lock is waited for: `status` and `verify` hold it for an instant when they ask."""


@contextmanager
def study_lock(paths: StudyPaths) -> Iterator[None]:
    """Hold the study's lock, or raise StudyError that names who holds it.

    The operating system lets go of the lock when its owner dies, however it dies.
    """
    owner_file = paths.owner
    lock = FileLock(paths.lock)
    try:
        lock.acquire(timeout=ANOTHER_LOOK_SECONDS)
    except Timeout:
        raise StudyError(
            f"The study {paths.folder.name} is being run by {_describe(owner_file)}. "
            "Wait for it to end, or stop it first."
        ) from None
    try:
        owner = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        write_text(owner_file, json.dumps(owner))
        yield
    finally:
        owner_file.unlink(missing_ok=True)
        lock.release()


def is_held(paths: StudyPaths) -> bool:
    """Whether a living coordinator holds the study.

    It is asked by a shared lock, so that several who ask do not take one another for a coordinator.
    """
    try:
        descriptor = os.open(paths.lock, os.O_RDONLY)
    except OSError:  # nobody has ever run it
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    finally:
        os.close(descriptor)
    return False


def owner(paths: StudyPaths) -> str | None:
    """Who runs the study now, in words; None if nobody does."""
    return _describe(paths.owner) if is_held(paths) else None


def _describe(owner_file: Path) -> str:
    try:
        values = json.loads(owner_file.read_text(encoding="utf-8"))
        return f"process {values['pid']} on {values['host']} (since {values['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
