"""`harness sync`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import StudyArgument


def sync(
    study: StudyArgument = None,
    restore: Annotated[
        bool,
        typer.Option(
            "--restore", help="Also make again what was deleted in MLflow: runs, models, the experiment."
        ),
    ] = False,
) -> None:
    """Bring MLflow and Optuna's storage up to date with a study, after they were away.

    What somebody has deleted in MLflow stays deleted, unless --restore is given.
    """
    from harness.cli import printable
    from harness.cli.studies import open_study
    from harness.sweep.sync import sync_study

    paths, _ = open_study(study)

    def note(sentence: str) -> None:
        typer.echo(printable(sentence), err=True)

    count = sync_study(paths, note=note, restore=restore)
    note(f"{paths.folder.name}: MLflow and Optuna's storage have all {count:,} records.")
