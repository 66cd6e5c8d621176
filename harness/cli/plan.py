"""`harness plan`."""

from __future__ import annotations

import sys

from harness.cli import printable
from harness.cli.options import (
    DatasetOption,
    EpochsOption,
    ExperimentArgument,
    JsonOption,
    SetOption,
    TrialsOption,
)


def plan(
    experiment: ExperimentArgument = "quickstart",
    trials: TrialsOption = None,
    dataset: DatasetOption = None,
    epochs: EpochsOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Check an experiment and print its space, size and rungs, and how its data is taken; nothing is run."""
    from harness.cli.tables import print_json, print_plan
    from harness.data.preview import preview
    from harness.experiment.describe import describe
    from harness.experiment.load import dump, load
    from harness.experiment.overrides import options
    from harness.sweeping.parts import make_scheduler

    chosen = load(experiment, [*(set_ or []), *options(dataset=dataset, epochs=epochs, trials=trials)])
    data, rungs = preview(chosen.dataset), make_scheduler(chosen).rungs
    rows, size = describe(chosen.space), chosen.space.size()
    for sentence in chosen.advice:
        print(printable(sentence), file=sys.stderr)
    if json_:
        print_json(
            {
                "experiment": dump(chosen),
                "space": rows,
                "size": size,
                "rungs": rungs,
                "data": {"found": data.found, "notes": data.notes},
            }
        )
        return
    print_plan(chosen, data.found, rows, size, rungs)
    for note in data.notes:
        print(printable(note), file=sys.stderr)
