"""The command line: parse, call, print. One file per command."""

from __future__ import annotations

import os
import sys
from typing import Any


def main() -> None:
    """The `harness` console script."""
    import typer

    from harness.cli.app import app
    from harness.errors import HarnessError

    try:
        # Not standalone: a mistake on the command line is told like any other, in one sentence.
        sys.exit(app(sys.argv[1:] or ["--help"], prog_name="harness", standalone_mode=False))
    except HarnessError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader (head, less) has gone; say nothing more, not even at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        # What Typer raises about arguments; its base class has no public name.
        if not isinstance(error, _mistake()):
            raise
        message = error.format_message().rstrip(".")
        print(f"Error: {message}. See `harness --help`.", file=sys.stderr)
        sys.exit(error.exit_code)


def _mistake() -> Any:
    import typer

    return typer.BadParameter.__mro__[2]
