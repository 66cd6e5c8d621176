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
    overrides,
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

    chosen = load(
        experiment,
        overrides(
            set_,
            dataset__source=dataset,
            training__epochs=epochs,
            search__trials=trials,
            search__timeout=timeout,
            search__target=target,
            search__patience=patience,
            search__min_gain=min_gain,
            search__ordered=ordered or None,
            search__max_epochs_total=max_epochs_total,
        ),
    )
    run_and_report(chosen, study=study, workers=number_of_workers(workers), recheck=recheck)
