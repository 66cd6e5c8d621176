"""`harness sweep`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import (
    DatasetOption,
    EpochsOption,
    ExperimentArgument,
    SetOption,
    StudyOption,
    WorkersOption,
    overrides,
)

TrialsOption = Annotated[
    int | None,
    typer.Option("--trials", "-n", min=1, help="The study's total of trials.  [default: 50]"),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", min=0.001, help="Seconds after which no further epoch starts."),
]


def sweep(
    experiment: ExperimentArgument = "quickstart",
    trials: TrialsOption = None,
    dataset: DatasetOption = None,
    epochs: EpochsOption = None,
    timeout: TimeoutOption = None,
    study: StudyOption = None,
    workers: WorkersOption = None,
    set_: SetOption = None,
) -> None:
    """Search for the best classifier: many trials, tracked in MLflow, ranked, ready to export.

    Running the same command again with the same --study finishes that study rather than doubling it.
    """
    from harness.cli.sweeping import run_and_report
    from harness.experiment.load import load

    chosen = load(
        experiment,
        overrides(dataset=dataset, epochs=epochs, trials=trials, timeout=timeout, settings=set_),
    )
    run_and_report(chosen, study=study, workers=workers)
