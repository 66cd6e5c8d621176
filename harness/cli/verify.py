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
    from harness.paths import optuna_storage, tracking_uri
    from harness.sweep.event_log import read
    from harness.sweep.leftovers import workers_of
    from harness.sweep.lock import is_held
    from harness.tracking.audit import stored_states, tracked_runs
    from harness.tracking.mlflow_view import experiment_name

    paths, history = open_study(study)
    assert history.study is not None
    own = history.study
    checks = check(
        paths,
        read(paths.log),
        tracked_runs(tracking_uri(), experiment_name(own.experiment["name"]), own.study_id),
        stored_states(optuna_storage(), own.study_id),
        lambda: is_held(paths),
        workers_of(paths),
        load_error,
    )
    if json_:
        print_json([asdict(one) for one in checks])
    else:
        print_checks(checks)
    if any(one.problems for one in checks):
        raise typer.Exit(1)
