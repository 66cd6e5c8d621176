"""What `harness similar` has found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.tables.columns import column, print_columns
from harness.cli.tables.lines import print_text
from harness.data.sentences import as_text

if TYPE_CHECKING:
    from harness.serving.similar import Neighbour


def print_neighbours(found: Sequence[Neighbour], page: Path) -> None:
    """Print the images, the likest first, and where the page with them is."""
    print_columns(
        [
            column("similarity", [one.similarity for one in found]),
            column("file", [str(one.file) for one in found], least=16),
        ],
        elsewhere="--json",
    )
    print()
    print_text(as_text(str(page)), "page  ")
