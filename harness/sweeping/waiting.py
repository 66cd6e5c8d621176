"""What a sweep, or another command that adds to a study, does while a disk is full: say so, and wait."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from harness.errors import HarnessError
from harness.sweeping.plan import Stop

LOOK_SECONDS = 1.0
"""How often a full disk is looked at."""
TELL_AGAIN_SECONDS = 60.0


def wait_for_room(
    note: Callable[[str], None], stop: Stop, what: str = "the event log", who: str = "The sweep"
) -> Callable[[OSError], None]:
    """What to do when a write has failed because the disk is full.

    Args:
        note: told at once, and once a minute, what cannot be written.
        stop: ends the waiting.
        what: what cannot be written, in words.
        who: who waits, in words that begin a sentence.

    Returns:
        A function that takes the error and returns when the write is to be tried again; it raises
        HarnessError if the sweep is to end.
    """
    told = -math.inf

    def wait(error: OSError) -> None:
        nonlocal told
        if stop.reason is not None:
            raise HarnessError(
                f"{what.capitalize()} cannot be written: {error.strerror}. Make room, then resume the study; "
                "all that was written before is intact."
            ) from error
        if time.monotonic() - told > TELL_AGAIN_SECONDS:
            told = time.monotonic()
            note(f"{who} waits: {what} cannot be written ({error.strerror}). Make room and it goes on.")
        time.sleep(LOOK_SECONDS)

    return wait
