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
    """Check an experiment and print its space, size, rungs, and how its data is taken; nothing is trained.

    Where the data is prepared already, a worker process tells for a few seconds what configurations cost.
    """
    from dataclasses import asdict

    from harness.cli.tables import print_json, print_plan
    from harness.data.known import known
    from harness.data.preview import preview
    from harness.experiment.describe import describe
    from harness.experiment.load import dump, load
    from harness.experiment.overrides import options
    from harness.sweeping.parts import make_scheduler
    from harness.sweeping.planning import planned
    from harness.sweeping.precision import foreseen

    chosen = load(experiment, [*(set_ or []), *options(dataset=dataset, epochs=epochs, trials=trials)])
    data, rungs = preview(chosen.dataset), make_scheduler(chosen).rungs
    rows, size = describe(chosen.space), chosen.space.size()
    precision = foreseen(chosen)
    for sentence in (*chosen.advice, *chosen.search_advice):
        print(printable(sentence), file=sys.stderr)
    prepared = known(chosen.dataset, chosen.seed)
    forecast = (
        planned(chosen, prepared)
        if prepared
        else "The data has not been prepared yet; the first sweep does that."
    )
    if json_:
        print_json(
            {
                "experiment": dump(chosen),
                "space": rows,
                "size": size,
                "rungs": rungs,
                "precision": precision,
                "data": {"found": data.found, "notes": data.notes},
                "forecast": {"unknown": forecast} if isinstance(forecast, str) else asdict(forecast),
            }
        )
        return
    print_plan(chosen, data.found, precision, rows, size, rungs, forecast)
    for note in data.notes:
        print(printable(note), file=sys.stderr)
