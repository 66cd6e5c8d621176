"""Run a command that ends when whoever started it ends, whatever ends it: `ends_with_parent.py COMMAND …`.

Whoever starts this script holds the other end of its standard input, and never writes. The operating system
closes that end when its owner dies, even by SIGKILL, and then the command is ended with everything that it
has started. The script is to be started in a session of its own; it imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 5.0
"""How long the command may take to end by itself."""
PR_SET_PDEATHSIG = 1


class _Ended(BaseException):
    """Whoever started this script has ended, or asks it to end."""


def main() -> int:
    """Run the command; its exit status."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Ended

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    # Linux can pass the end of this script on as well, should only this script be killed.
    follow = _end_with_this_script if sys.platform == "linux" else None
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, preexec_fn=follow)  # noqa: PLW1509 - no thread runs yet
    try:
        signal.signal(signal.SIGTERM, end)
        threading.Thread(target=watch, daemon=True).start()
        return process.wait()
    except _Ended:
        os.killpg(0, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        os.killpg(0, signal.SIGKILL)  # what the command has left behind, and this script
        return 1


def _end_with_this_script() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
