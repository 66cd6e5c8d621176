"""`harness sweep`."""

from __future__ import annotations

from harness.cli.options import (
    DatasetOption,
    EngineOption,
    EpochsOption,
    ExperimentArgument,
    MaxEpochsOption,
    MinGainOption,
    OrderedOption,
    PatienceOption,
    RayAddressOption,
    RecheckOption,
    SetOption,
    StorageOption,
    StudyFilesOption,
    StudyOption,
    TargetOption,
    TimeoutOption,
    TrialsOption,
    WorkersOption,
    number_of_workers,
    seconds_of,
    use_storage,
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
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    study_files: StudyFilesOption = None,
    recheck: RecheckOption = False,
    set_: SetOption = None,
    storage: StorageOption = None,
) -> None:
    """Search for the best classifier: many trials, tracked in MLflow, ranked, ready to export.

    Given data in the place of an experiment, one is written that fits it, and kept with the study.
    Running the same command again with the same --study finishes that study rather than doubling it.
    """
    from harness.cli.sweeping import run_and_report, say
    from harness.experiment.overrides import options
    from harness.proposal.chosen import chosen
    from harness.sweeping.engines import engine_choice

    use_storage(storage)
    engine_chosen = engine_choice(engine, ray_address, study_files)
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
    wanted = chosen(experiment, [*(set_ or []), *given], tell=say, study=study, limit=seconds_of(timeout))
    run_and_report(
        wanted,
        study=study,
        workers=number_of_workers(workers),
        recheck=recheck,
        chosen=engine_chosen,
    )
