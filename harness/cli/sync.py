"""`harness sync`."""

from __future__ import annotations

import typer

from harness.cli.options import StudyArgument


def sync(study: StudyArgument = None) -> None:
    """Bring MLflow and Optuna's storage up to date with a study, after they were away."""
    from harness.cli.studies import open_study
    from harness.sweep.sync import sync_study

    paths, _ = open_study(study)
    count = sync_study(paths)
    typer.echo(f"{paths.folder.name}: MLflow and Optuna's storage have all {count:,} records.", err=True)
