"""`harness verify`."""

from __future__ import annotations

from harness.cli.options import JsonOption, StudyArgument


def verify(study: StudyArgument = None, json_: JsonOption = False) -> None:
    """Prove that event log, MLflow, Optuna's storage and files agree; exit 1 if they do not."""
    from dataclasses import asdict

    import typer

    from harness.analysis.verify import verify as check
    from harness.cli.studies import open_study
    from harness.cli.tables import print_checks, print_json
    from harness.deploy.loading import load_error
    from harness.errors import StudyError
    from harness.paths import optuna_storage, tracking_uri
    from harness.records import TrialStarted
    from harness.sweep.event_log import read
    from harness.sweep.leftovers import workers_of
    from harness.sweep.lock import is_held
    from harness.tracking.audit import stored_states, tracked_runs
    from harness.tracking.cursor import read_cursor
    from harness.tracking.mlflow_experiment import experiment_name

    paths, history = open_study(study)
    name = paths.folder.name
    if history.study is None:
        raise StudyError(f"The study {name} never began: its event log is empty.")
    own, records = history.study, read(paths.log)
    checks = check(
        paths,
        records,
        tracked_runs(
            tracking_uri(),
            experiment_name(own.experiment["name"]),
            own.study_id,
            study=name,
            cursor=read_cursor(paths.tracking_cursor),
            started={
                record.event.trial: record.seq for record in records if isinstance(record.event, TrialStarted)
            },
        ),
        stored_states(optuna_storage(), own.study_id),
        lambda: is_held(paths),
        workers_of(paths),
        load_error,
    )
    if json_:
        print_json([asdict(one) for one in checks])
    else:
        print_checks(checks)
    if any(one.notes for one in checks):
        typer.echo(f"What was deleted in MLflow is made again by: harness sync {name} --restore", err=True)
    if any(one.problems for one in checks if one.name in ("V2", "V3", "V5")):
        typer.echo(f"What MLflow or Optuna's storage lacks is written by: harness sync {name}", err=True)
    if any(one.problems for one in checks):
        raise typer.Exit(1)
