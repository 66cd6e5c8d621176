"""Prints what the project and some of its extras need, one requirement a line, for the Dockerfile.

python deploy/requirements.py EXTRA…

So an image has all dependencies in a layer that changes only with pyproject.toml.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Print them."""
    file = Path(__file__).parent.parent / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    if unknown := [name for name in sys.argv[1:] if name not in extras]:
        sys.exit(f"pyproject.toml has no extra {', '.join(unknown)}. It has {', '.join(extras)}.")
    wanted = [*project["dependencies"], *(one for name in sys.argv[1:] for one in extras[name])]
    sys.stdout.write("".join(f"{one}\n" for one in wanted))


if __name__ == "__main__":
    main()
