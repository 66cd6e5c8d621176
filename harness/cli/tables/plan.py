"""What a sweep would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from harness.cli.tables.columns import WIDE, console
from harness.cli.tables.lines import print_pairs, screen_width

if TYPE_CHECKING:
    from harness.experiment.experiment import Experiment


def print_plan(
    experiment: Experiment, data: str, rows: list[dict[str, str]], size: int | None, rungs: list[int]
) -> None:
    """Print an experiment, its space and its size.

    Args:
        experiment: what would be run.
        data: the data set in words.
        rows: of the space, as `harness.experiment.describe.describe` gives them.
        size: configurations in the space; None if they cannot be counted.
        rungs: epochs at which trials are compared.
    """
    print_pairs(
        {
            "experiment": experiment.name,
            "data": data,
            "objective": f"{experiment.objective.direction} {experiment.objective.name}",
            "trials": f"{experiment.search.trials}, chosen by {experiment.search.sampler}",
            "rungs": f"{_epochs(rungs)} ({experiment.scheduler.kind})",
            "space": "continuous" if size is None else f"{size:,} configurations",
        }
    )
    print()
    width = screen_width()
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("parameter", no_wrap=True)
    for name in ("values", "when", "about"):
        table.add_column(name)  # broken inside its column, where the terminal is narrow
    for row in rows:
        table.add_row(*row.values())
    console(width or WIDE).print(table)


def _epochs(rungs: list[int]) -> str:
    if len(rungs) > 2 and rungs == list(range(rungs[0], rungs[-1] + 1)):
        return f"every epoch from {rungs[0]} to {rungs[-1]}"
    return f"epochs {', '.join(map(str, rungs))}"
