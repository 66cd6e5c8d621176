"""The commands and their groups; what a command needs is imported when it runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated

import typer

SEARCH, LOOK, SHIP, CARE = "Search", "Look", "Ship", "Care"


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    panel: str
    """The group that it is listed in by `harness --help`."""
    module: str
    """Where its function is, which has the name of the module. Importing it must import nothing heavy."""


COMMANDS = (
    Command(SEARCH, "harness.cli.init"),
    Command(SEARCH, "harness.cli.audit"),
    Command(SEARCH, "harness.cli.sweep"),
    Command(SEARCH, "harness.cli.resume"),
    Command(SEARCH, "harness.cli.train"),
    Command(SEARCH, "harness.cli.plan"),
    Command(LOOK, "harness.cli.status"),
    Command(LOOK, "harness.cli.leaderboard"),
    Command(LOOK, "harness.cli.show"),
    Command(LOOK, "harness.cli.report"),
    Command(LOOK, "harness.cli.ui"),
    Command(SHIP, "harness.cli.ensemble"),
    Command(SHIP, "harness.cli.confirm"),
    Command(SHIP, "harness.cli.export"),
    Command(SHIP, "harness.cli.promote"),
    Command(SHIP, "harness.cli.predict"),
    Command(SHIP, "harness.cli.explain"),
    Command(SHIP, "harness.cli.similar"),
    Command(SHIP, "harness.cli.serve"),
    Command(CARE, "harness.cli.sync"),
    Command(CARE, "harness.cli.verify"),
    Command(CARE, "harness.cli.reproduce"),
)
"""Every command, in the order of `harness --help`: one file and one line each."""


def make_app(commands: Iterable[Command]) -> typer.Typer:
    """The command line with these commands."""
    app = typer.Typer(
        name="harness",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(harness)
    for command in commands:
        name = command.module.rpartition(".")[2]
        app.command(name, rich_help_panel=command.panel)(getattr(import_module(command.module), name))
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from harness import __version__

        typer.echo(__version__)
        raise typer.Exit


def harness(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Sweep, track and ship Keras image classifiers.

    Start with [bold]harness sweep --trials 50[/bold]: real data, no download, a few minutes.
    """


app = make_app(COMMANDS)
