"""What a sweep would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from harness.cli.tables.columns import WIDE, console
from harness.cli.tables.lines import duration, figure, print_pairs, screen_width

if TYPE_CHECKING:
    from harness.experiment.experiment import Experiment
    from harness.sweeping.prices import Price, Prices


def print_plan(
    experiment: Experiment,
    data: str,
    precision: str,
    rows: list[dict[str, str]],
    size: int | None,
    rungs: list[int],
    forecast: Prices | str,
) -> None:
    """Print an experiment, its space and its size.

    Args:
        experiment: what would be run.
        data: the data set in words.
        precision: what layers compute with, in words.
        rows: of the space, as `harness.experiment.describe.describe` gives them.
        size: configurations in the space; None if they cannot be counted.
        rungs: epochs at which trials are compared.
        forecast: what configurations take on this machine; a sentence, if that is not known.
    """
    print_pairs(
        {
            "experiment": experiment.name,
            "data": data,
            "objective": f"{experiment.objective.direction} {experiment.objective.name}",
            "trials": f"{experiment.search.trials}, chosen by {experiment.search.sampler}",
            "rungs": _rungs(experiment, rungs),
            "precision": precision,
            "space": "continuous" if size is None else f"{size:,} configurations",
            **_forecast(forecast),
        }
    )
    print()
    width = screen_width()
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("parameter", no_wrap=True)
    for name in ("values", "when", "about"):
        table.add_column(name)  # broken inside its column, where the terminal is narrow
    for row in rows:
        table.add_row(*row.values())
    console(width or WIDE).print(table)


def _forecast(forecast: Prices | str) -> dict[str, str]:
    if isinstance(forecast, str):
        return {"forecast": f"not known: {forecast}"}
    sweep, workers = forecast.sweep, forecast.workers
    lengths = duration(sweep.low), duration(sweep.middle), duration(sweep.high)
    found = {
        "cheapest": _price(forecast.cheapest),
        "typical": _price(forecast.typical),
        "dearest": _price(forecast.dearest),
        "sweep": f"about {lengths[1]} of training ({lengths[0]} to {lengths[2]}) on {workers} "
        f"worker{'s' * (workers != 1)}, without a time limit",
    }
    if forecast.too_large:
        found["memory"] = f"{forecast.too_large} of {forecast.drawn} drawn do not fit a worker's memory"
    if forecast.too_long:
        found["limit"] = (
            f"{forecast.too_long} of {forecast.drawn} drawn take longer than it for a full training"
        )
    return found


def _price(price: Price) -> str:
    params = " ".join(f"{name}={figure(value)}" for name, value in price.params.items())
    memory = price.memory_bytes / 2**30
    return (
        f"{price.epoch_seconds:.3g} s an epoch, {duration(price.training_seconds)} a full training, "
        f"{memory:.1f} GiB: {params}"
    )


def _rungs(experiment: Experiment, rungs: list[int]) -> str:
    folds, kind = experiment.folds, experiment.scheduler.kind
    if not folds.parts:
        return f"{_epochs(rungs)} ({kind})"
    text = f"{folds.number} folds of {folds.epochs} epochs"
    if kind == "none":
        return f"{text} and then all {experiment.dataset.noun}s, for every trial"
    return (
        f"{text}; who is clearly behind after 2 of them gets no more; the best is then trained on all "
        f"{experiment.dataset.noun}s"
    )


def _epochs(rungs: list[int]) -> str:
    if len(rungs) > 2 and rungs == list(range(rungs[0], rungs[-1] + 1)):
        return f"every epoch from {rungs[0]} to {rungs[-1]}"
    return f"epochs {', '.join(map(str, rungs))}"
