"""`harness sweep`."""

from __future__ import annotations

from harness.cli.options import (
    DatasetOption,
    EpochsOption,
    ExperimentArgument,
    MaxEpochsOption,
    MinGainOption,
    OrderedOption,
    PatienceOption,
    RecheckOption,
    SetOption,
    StudyOption,
    TargetOption,
    TimeoutOption,
    TrialsOption,
    WorkersOption,
    number_of_workers,
)


def sweep(
    experiment: ExperimentArgument = "quickstart",
    trials: TrialsOption = None,
    dataset: DatasetOption = None,
    epochs: EpochsOption = None,
    timeout: TimeoutOption = None,
    target: TargetOption = None,
    patience: PatienceOption = None,
    min_gain: MinGainOption = None,
    max_epochs_total: MaxEpochsOption = None,
    ordered: OrderedOption = False,
    study: StudyOption = None,
    workers: WorkersOption = None,
    recheck: RecheckOption = False,
    set_: SetOption = None,
) -> None:
    """Search for the best classifier: many trials, tracked in MLflow, ranked, ready to export.

    Running the same command again with the same --study finishes that study rather than doubling it.
    """
    from harness.cli.sweeping import run_and_report
    from harness.experiment.load import load
    from harness.experiment.overrides import options

    given = options(
        dataset=dataset,
        epochs=epochs,
        trials=trials,
        timeout=timeout,
        target=target,
        patience=patience,
        min_gain=min_gain,
        max_epochs_total=max_epochs_total,
        ordered=ordered or None,
    )
    chosen = load(experiment, [*(set_ or []), *given])
    run_and_report(chosen, study=study, workers=number_of_workers(workers), recheck=recheck)
