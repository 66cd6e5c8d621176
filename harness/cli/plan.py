"""`harness plan`."""

from __future__ import annotations

from harness.cli.options import (
    DatasetOption,
    EpochsOption,
    ExperimentArgument,
    JsonOption,
    SetOption,
    TrialsOption,
    overrides,
)


def plan(
    experiment: ExperimentArgument = "quickstart",
    trials: TrialsOption = None,
    dataset: DatasetOption = None,
    epochs: EpochsOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Check an experiment and print its space, its size and its rungs; nothing is run."""
    from harness.cli.tables import print_json, print_plan
    from harness.experiment.describe import describe
    from harness.experiment.load import load
    from harness.sweep.scheduler import rung_epochs

    chosen = load(
        experiment, overrides(set_, dataset__source=dataset, training__epochs=epochs, search__trials=trials)
    )
    config = chosen.scheduler
    rungs = [chosen.training.epochs]
    if config.kind in ("asha", "hyperband"):
        rungs = rung_epochs(config.min_epochs, chosen.training.epochs, config.reduction)
    elif config.kind == "screen" and config.min_epochs < chosen.training.epochs:
        rungs = [config.min_epochs, chosen.training.epochs]
    elif config.kind != "none":
        rungs = list(range(min(config.min_epochs, chosen.training.epochs), chosen.training.epochs + 1))
    space = chosen.compiled_space()
    rows, size = describe(space), space.size()
    if json_:
        print_json(
            {"experiment": chosen.model_dump(mode="json"), "space": rows, "size": size, "rungs": rungs}
        )
    else:
        print_plan(chosen, rows, size, rungs)
