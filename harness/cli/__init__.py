"""The command line: parse, call, print. One file per command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """The `harness` console script."""
    import typer

    from harness.cli.app import app
    from harness.errors import HarnessError

    try:
        app()
    except HarnessError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader (head, less) has gone; say nothing more, not even at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
