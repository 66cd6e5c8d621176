"""`harness resume`."""

from __future__ import annotations

from typing import Any

from harness.cli.options import (
    EngineOption,
    MaxEpochsOption,
    MinGainOption,
    PatienceOption,
    RayAddressOption,
    RecheckOption,
    StorageOption,
    StudyArgument,
    TargetOption,
    TimeoutOption,
    TrialsOption,
    WorkersOption,
    number_of_workers,
    use_storage,
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
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    recheck: RecheckOption = False,
    storage: StorageOption = None,
) -> None:
    """Go on with an interrupted study, exactly where it was; or give a finished one more trials.

    The limits that it was started with still hold; an option changes one, `none` lifts it.
    """
    from harness.cli.sweeping import run_and_report, say
    from harness.experiment.load import with_search
    from harness.experiment.overrides import NO_LIMIT
    from harness.study.opening import open_study
    from harness.sweeping.engines import engine_choice

    use_storage(storage)
    engine_chosen = engine_choice(engine, ray_address)
    paths, state = open_study(study)
    given: dict[str, Any] = {
        "trials": trials,
        "timeout": timeout,
        "target": target,
        "patience": patience,
        "min_gain": min_gain,
        "max_epochs_total": max_epochs_total,
    }
    # What was recorded holds until it is told otherwise.
    changed = {
        name: None if value == NO_LIMIT else value for name, value in given.items() if value is not None
    }
    run_and_report(
        with_search(state.experiment, changed),
        study=paths.folder.name,
        workers=number_of_workers(workers),
        resume=True,
        recheck=recheck,
        chosen=engine_chosen,
    )
    if state.experiment.confirmation is not None:
        say(f"see what it has found by: harness confirm {state.experiment.confirmation.study}")
