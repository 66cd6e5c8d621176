"""`harness plan`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from harness.cli import printable
from harness.cli.options import (
    DatasetOption,
    EpochsOption,
    ExperimentArgument,
    JsonOption,
    SetOption,
    overrides,
)
from harness.cli.sweep import TrialsOption

if TYPE_CHECKING:
    from harness.experiment.schema import Experiment


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
    data, notes = _look_at_data(chosen)
    if json_:
        print_json(
            {
                "experiment": chosen.model_dump(mode="json"),
                "space": rows,
                "size": size,
                "rungs": rungs,
                "data": {"found": data, "notes": notes},
            }
        )
        return
    print_plan(chosen, data, rows, size, rungs)
    for note in notes:
        print(printable(note), file=sys.stderr)


def _look_at_data(experiment: Experiment) -> tuple[str, list[str]]:
    """What is found where the data set is a folder or a list, and sentences about how it is taken."""
    from collections import Counter

    from harness.data.prepare import look
    from harness.data.sources import POOLS
    from harness.errors import DataError

    source = experiment.dataset.source
    try:
        found = look(experiment.dataset)
    except DataError as error:
        return source, [str(error)]
    if found is None:
        return source, []
    counts = Counter(file.pool for file in found.files)
    images = ", ".join(f"{counts[pool]:,} {pool}" for pool in POOLS if counts[pool])
    return f"{source}: {images} images, {len(found.classes)} classes (nothing is decoded)", list(
        found.warnings
    )
