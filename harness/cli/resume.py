"""`harness resume`."""

from __future__ import annotations

from harness.cli.options import RecheckOption, StudyArgument, WorkersOption, number_of_workers
from harness.cli.sweep import (
    MaxEpochsOption,
    MinGainOption,
    PatienceOption,
    TargetOption,
    TimeoutOption,
    TrialsOption,
)


def resume(
    study: StudyArgument = None,
    trials: TrialsOption = None,
    timeout: TimeoutOption = None,
    target: TargetOption = None,
    patience: PatienceOption = None,
    min_gain: MinGainOption = None,
    max_epochs_total: MaxEpochsOption = None,
    workers: WorkersOption = None,
    recheck: RecheckOption = False,
) -> None:
    """Go on with an interrupted study, exactly where it was; or give a finished one more trials."""
    from harness.cli.studies import open_study
    from harness.cli.sweeping import run_and_report
    from harness.errors import StudyError
    from harness.experiment.load import restore

    paths, history = open_study(study)
    if history.study is None:
        raise StudyError(f"The study {paths.folder.name} never began: its event log is empty.")
    recorded = history.study.experiment
    # The budget that ended the last session must not end this one at once: each is given anew, for all of the
    # study.
    search = recorded["search"] | {
        "timeout": timeout,
        "target": target,
        "patience": patience,
        "min_gain": min_gain or 0.0,
        "max_epochs_total": max_epochs_total,
    }
    if trials is not None:
        search["trials"] = trials
    experiment = restore(recorded | {"search": search})
    run_and_report(
        experiment,
        study=paths.folder.name,
        workers=number_of_workers(workers),
        resume=True,
        recheck=recheck,
    )
