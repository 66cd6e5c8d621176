"""The commands and their groups; what a command needs is imported when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.export import export
from harness.cli.leaderboard import leaderboard
from harness.cli.plan import plan
from harness.cli.report import report
from harness.cli.resume import resume
from harness.cli.show import show
from harness.cli.status import status
from harness.cli.sweep import sweep
from harness.cli.sync import sync
from harness.cli.train import train
from harness.cli.ui import ui
from harness.cli.verify import verify

app = typer.Typer(
    name="harness",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SEARCH, LOOK, SHIP, CARE = "Search", "Look", "Ship", "Care"
app.command(rich_help_panel=SEARCH)(sweep)
app.command(rich_help_panel=SEARCH)(resume)
app.command(rich_help_panel=SEARCH)(train)
app.command(rich_help_panel=SEARCH)(plan)
app.command(rich_help_panel=LOOK)(status)
app.command(rich_help_panel=LOOK)(leaderboard)
app.command(rich_help_panel=LOOK)(show)
app.command(rich_help_panel=LOOK)(report)
app.command(rich_help_panel=LOOK)(ui)
app.command(rich_help_panel=SHIP)(export)
app.command(rich_help_panel=CARE)(sync)
app.command(rich_help_panel=CARE)(verify)


def _version(wanted: bool) -> None:
    if wanted:
        from harness import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def harness(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Sweep, track and ship Keras image classifiers.

    Start with [bold]harness sweep --trials 50[/bold]: real data, no download, a few minutes.
    """
