"""What a prior is worth, right or wrong, on recorded learning curves.

    python -m benchmarks.table.priors --minutes 3 --seeds 200

The table is dealt out to two halves. One is an earlier study, and searches are simulated on the other, so
that no prior knows what it is scored on; then the other way round. `right` says what the best quarter of the
earlier configurations have in common, as `search.warm_start: auto` does; `wrong` says the same of the worst
quarter. `--given NAME KEY=VALUE …` is another arm, with priors of one's own, such as from the literature.

Told is when the median over the seeds has reached what `harness` without a prior has after a quarter of the
time, a half, and all of it, and how many times as long that is. As everywhere here, scores are true ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table.clock import Answers, Simulated, simulate
from benchmarks.table.curves import CONSTANT, FILE, Recording, Table, read
from benchmarks.table.neighbours import Neighbours
from benchmarks.table.searches.harness import HarnessSearch, experiment_of
from benchmarks.table.simulate import reached, summary
from benchmarks.tables import publish, table
from harness.experiment.overrides import override
from harness.experiment.priors import as_written
from harness.machine import usable_cores
from harness.sweeping.learned import Good, learned_priors

WITHOUT, RIGHT, WRONG = "without", "right", "wrong"
PARTS = (0.25, 0.5, 1.0)
"""Of the time, after which it is asked what harness without a prior has by then."""
MOMENTS = 600
"""At which medians are taken."""


@dataclass(frozen=True, slots=True)
class Task:
    """One search."""

    file: Path
    seconds: float
    workers: int
    half: int
    """The half of the table that is searched."""
    settings: tuple[str, ...]
    seed: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--table", type=Path, default=FILE)
    parser.add_argument("--minutes", type=float, default=3, help="simulated, of each search")
    parser.add_argument("--seeds", type=int, default=200, help="of each search, in each half")
    parser.add_argument("--workers", type=int, default=2, help="simulated")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", dest="common", help="in all arms"
    )
    parser.add_argument(
        "--given", nargs="+", action="append", default=[], metavar=("NAME", "KEY=VALUE"),
        help="another arm: harness with these settings",
    )  # fmt: skip
    parser.add_argument("--processes", type=int, default=usable_cores(), help="that simulate side by side")
    options = parser.parse_args()

    seconds, common = 60 * options.minutes, tuple(options.common)
    moments = np.linspace(0, seconds, MOMENTS + 1)[1:]
    measured: dict[str, dict[str, Any]] = {}
    with ProcessPoolExecutor(options.processes) as pool:
        for half in (0, 1):
            right, wrong = priors(options.table, half)
            arms = {WITHOUT: (), RIGHT: right, WRONG: wrong}
            arms |= {name: tuple(settings) for name, *settings in options.given}
            for arm, settings in arms.items():
                tasks = [
                    Task(options.table, seconds, options.workers, half, (*common, *settings), seed)
                    for seed in range(options.seeds)
                ]
                found = summary(list(pool.map(one_search, tasks)), moments)
                measured.setdefault(arm, {})[str(half)] = found
                print(f"half {half}, {arm}: {' '.join(settings)}", file=sys.stderr)
    told = {name: value for name, value in vars(options).items() if name not in ("table", "processes")}
    publish("priors", {"table": options.table.name, **told}, measured, render(measured))


@cache
def halves(file: Path) -> tuple[Recording, tuple[Table, Table]]:
    """The configurations by turns: no half is better by the order in which they were drawn."""
    recording, trainings = read(file)
    first, second = (
        Table.of(recording, [one for one in trainings if one.configuration % 2 == half]) for half in (0, 1)
    )
    return recording, (first, second)


def priors(file: Path, half: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Settings with what the best and the worst quarter of the other half have in common."""
    recording, tables = halves(file)
    other = tables[1 - half]
    ranked = sorted(other.complete, key=lambda one: -other.truth(one, CONSTANT, recording.epochs))
    quarter = len(ranked) // 4
    best, worst = ranked[:quarter], ranked[: -quarter - 1 : -1]
    return settings_of(other, best), settings_of(other, worst)


def settings_of(half: Table, configurations: Sequence[int]) -> tuple[str, ...]:
    """What these configurations, the most telling first, have in common, as `--set` takes it."""
    among, everything = half.space.searched, frozenset(half.space.parameters)
    learned = learned_priors(half.space, [Good(half.complete[one], everything) for one in configurations])
    found = []
    for name, prior in learned.items():
        parameter, _, optimizer = name.rstrip("]").partition("[")
        key = f"space.{parameter}.prior{'.' if optimizer else ''}{optimizer}"
        found.append(override(key, as_written(among[name], prior)))
    return tuple(found)


def one_search(task: Task) -> Simulated:
    recording, tables = halves(task.file)
    searched = tables[task.half]
    answers = Answers(searched, Neighbours(searched.space, searched.complete), task.seed)
    experiment = experiment_of(recording, task.seconds, task.seed, task.settings)
    search = HarnessSearch(experiment, answers, task.workers)
    return simulate(search, answers, workers=task.workers, limit=task.seconds)


def render(measured: dict[str, dict[str, Any]]) -> str:
    rows = []
    for half in measured[WITHOUT]:
        without = measured[WITHOUT][half]
        for arm, by_half in measured.items():
            found = by_half[half]
            cells = []
            for part in PARTS:
                target = without["median"][round(part * MOMENTS) - 1]
                own, usual = reached(found, target), reached(without, target)
                assert usual is not None
                cells.append("never" if own is None else f"{own:.0f} s ({own / usual:.2f})")
            rows.append([half, arm, f"{found['median'][-1]:.4f}", f"{found['trials']:.0f}", *cells])
    headers = ["half", "arm", "true score at the end", "trials"]
    return table([*headers, *(f"what without has after {part:g}" for part in PARTS)], rows)


if __name__ == "__main__":
    main()
