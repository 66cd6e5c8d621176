"""The command line: parse, call, print. One file per command."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

MACHINE_ERRORS = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO
)  # fmt: skip


def main() -> None:
    """The `harness` console script."""
    import typer

    from harness.cli.app import app
    from harness.errors import HarnessError

    try:
        # Not standalone: a mistake on the command line is told like any other, in one sentence.
        sys.exit(app(sys.argv[1:] or ["--help"], prog_name="harness", standalone_mode=False))
    except HarnessError as error:
        print(f"Error: {printable(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader (head, less) has gone; say nothing more, not even at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except OSError as error:
        # The machine's trouble, not a bug: no room, no permission, a broken disk.
        if error.errno not in MACHINE_ERRORS:
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"Error: {error.strerror}{where}. Mend that and type the command again.", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        # What Typer raises about arguments; its base class has no public name.
        if not isinstance(error, _mistake()):
            raise
        message = error.format_message().rstrip(".")
        print(f"Error: {printable(message)}. See `harness --help`.", file=sys.stderr)
        sys.exit(error.exit_code)


def printable(text: str) -> str:
    """The text with what could command a terminal (a name in a file may hold it) made visible."""
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1]
        for character in text
    )


def _mistake() -> Any:
    import typer

    return typer.BadParameter.__mro__[2]
