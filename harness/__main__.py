"""`python -m harness` is the `harness` command."""

import os
import sys

# Python has put the working directory first: a `random.py` there is not ours to run.
if sys.path and sys.path[0] == os.getcwd():  # noqa: PTH109 - pathlib would import much from there
    del sys.path[0]

from harness.cli import main

main()
