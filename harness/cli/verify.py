"""`harness verify`."""

from __future__ import annotations

from harness.cli.options import JsonOption, StorageOption, StudyArgument, use_storage


def verify(study: StudyArgument = None, storage: StorageOption = None, json_: JsonOption = False) -> None:
    """Prove that the event log, the stores of all trackers and the files agree; exit 1 if they do not."""
    from dataclasses import asdict

    import typer

    from harness.analysis.verify import verify as check
    from harness.cli.tables import print_checks, print_json
    from harness.deploy.loading import load_error
    from harness.engine import workers_of
    from harness.study.event_log import read
    from harness.study.lock import is_held
    from harness.study.opening import open_study
    from harness.tracking.audit import audit_study

    use_storage(storage)
    paths, _ = open_study(study)
    name = paths.folder.name
    records = read(paths.log)
    checks = check(
        paths,
        records,
        audit_study(paths, records),
        lambda: is_held(paths),
        workers_of(paths),
        load_error,
    )
    if json_:
        print_json([asdict(one) for one in checks])
    else:
        print_checks(checks)
    if any(one.notes for one in checks if one.mended_by_sync):
        typer.echo(f"What was deleted in a store is written anew by: harness sync {name} --restore", err=True)
    if any(one.problems for one in checks if one.mended_by_sync):
        typer.echo(f"What a store lacks is written by: harness sync {name}", err=True)
    if any(one.problems for one in checks):
        raise typer.Exit(1)
