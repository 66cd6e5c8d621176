"""`harness sync`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import StorageOption, StudyArgument, use_storage


def sync(
    study: StudyArgument = None,
    restore: Annotated[
        bool,
        typer.Option(
            "--restore", help="Also make again what was deleted in MLflow: runs, models, the experiment."
        ),
    ] = False,
    storage: StorageOption = None,
) -> None:
    """Bring the stores of all trackers, MLflow among them, up to date with a study, after they were away.

    What somebody has deleted in MLflow stays deleted, unless --restore is given.
    """
    from harness.cli import printable
    from harness.study.opening import open_study
    from harness.tracking.sync import sync_study
    from harness.tracking.trackers import TRACKERS

    use_storage(storage)
    paths, _ = open_study(study)

    def note(sentence: str) -> None:
        typer.echo(printable(sentence), err=True)

    count = sync_study(paths, note=note, restore=restore)
    note(f"{paths.folder.name}: {' and '.join(TRACKERS)} have all {count:,} records.")
