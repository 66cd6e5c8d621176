"""`harness train`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import (
    DatasetOption,
    EpochsOption,
    JsonOption,
    RecheckOption,
    SetOption,
    StudyOption,
)


def train(
    experiment: Annotated[
        str, typer.Argument(help="A built-in experiment (baseline, …) or the path of a YAML file.")
    ] = "baseline",
    dataset: DatasetOption = None,
    epochs: EpochsOption = None,
    study: StudyOption = None,
    recheck: RecheckOption = False,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Train one configuration on all cores, then open the test split once and report on it.

    What the experiment searches takes its default value; choose others with --set space.NAME=VALUE.
    """
    from harness.cli.sweeping import run_and_report
    from harness.cli.tables import print_evaluations
    from harness.experiment.load import load, single
    from harness.experiment.overrides import options

    chosen = single(load(experiment, [*(set_ or []), *options(dataset=dataset, epochs=epochs, trials=1)]))
    result = run_and_report(chosen, study=study, workers=1, evaluate_test=True, recheck=recheck)
    print_evaluations(result.state.trials[0].shown_evaluations, as_json=json_)
