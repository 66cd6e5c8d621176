"""`harness sweep`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import (
    DatasetOption,
    EpochsOption,
    ExperimentArgument,
    RecheckOption,
    SetOption,
    StudyOption,
    WorkersOption,
    number_of_workers,
    overrides,
)

TrialsOption = Annotated[
    int | None,
    typer.Option("--trials", "-n", min=1, help="The study's total of trials.  [default: 50]"),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.001,
        help="Seconds of all the study's sessions together, after which no further epoch starts.",
    ),
]
TargetOption = Annotated[float | None, typer.Option("--target", help="End when a trial is this good.")]
PatienceOption = Annotated[
    int | None,
    typer.Option("--patience", min=1, help="End when so many trials in a row brought no improvement."),
]
MinGainOption = Annotated[
    float | None,
    typer.Option("--min-gain", min=0, help="What counts as an improvement for --patience.  [default: 0]"),
]
OrderedOption = Annotated[
    bool,
    typer.Option("--ordered", help="Decide in a fixed order: the whole study can be repeated exactly."),
]
MaxEpochsOption = Annotated[
    int | None,
    typer.Option("--max-epochs-total", min=1, help="Epochs of all trials together."),
]


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
