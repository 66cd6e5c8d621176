"""What ctrl-C, SIGTERM and a closed terminal do to a sweep that runs in this process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.sweeping.plan import Stop


@contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """First ctrl-C, SIGTERM or hang-up: stop within the running epochs. Second: wait for nothing.

    Whoever wants a sweep to outlive its terminal starts it with `nohup`, which has hang-ups ignored.
    """

    def on_signal(number: int, _: FrameType | None) -> None:
        if stop.reason is None:
            stop.reason = "interrupted" if number == signal.SIGINT else "terminated"
        else:
            stop.immediately = True

    answered = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        answered.append(signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in answered}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
