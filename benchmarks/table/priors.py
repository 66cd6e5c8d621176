"""What a prior is worth, right or wrong, on recorded learning curves.

    python -m benchmarks.table.priors --minutes 3 --seeds 200

On the whole table it is asked what a practitioner gains who knows what is in truth good, and what one loses
who is mistaken. `right` says what the table's best quarter have in common, as one says who has trained such
networks often, and `wrong` the same of its worst quarter; so these priors know what they are scored on, the
one as much as the other. `middling` says it of the quarter in the middle, and `one wrong` what `right` says,
but of learning rates what `wrong` does.

What is *learned*, as `search.warm_start: auto` does, must not know it. So the table is dealt out to two
halves. One is an earlier study, and searches are simulated on the other; then the other way round. `learned`
says what the best quarter of the earlier configurations have in common, and `mislearned` what the worst have.
A half is a small table: nearly all of it is tried in three minutes.

`--given NAME KEY=VALUE …` is another arm in all of them, with priors of one's own.

Told is when the median over the seeds has reached, for good, what `harness` without a prior has after a
quarter of the time, a half, and all of it, and how many times as long that is. As everywhere here, scores are
true ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.table.clock import Answers, Simulated, simulate
from benchmarks.table.curves import FILE, Recording, Table, read
from benchmarks.table.neighbours import Neighbours
from benchmarks.table.searches.harness import HarnessSearch, experiment_of
from benchmarks.table.simulate import reached, summary
from benchmarks.tables import publish, table
from harness.experiment.overrides import override
from harness.experiment.priors import as_written
from harness.machine import usable_cores
from harness.sweeping.learned import Good, learned_priors

WITHOUT, RIGHT, MIDDLING, ONE_WRONG, WRONG = "without", "right", "middling", "one wrong", "wrong"
LEARNED, MISLEARNED = "learned", "mislearned"
WHOLE, HALVES = "whole", ("half 0", "half 1")
LEARNING_RATES = "space.learning_rate."
"""How settings begin that say something of learning rates."""
SHARES = (0.25, 0.5, 1.0)
"""Of the time, after which it is asked what harness without a prior has by then."""
MOMENTS = 600
"""At which medians are taken."""


@dataclass(frozen=True, slots=True)
class Task:
    """One search."""

    file: Path
    seconds: float
    workers: int
    part: str
    """Of the table, that is searched."""
    settings: tuple[str, ...]
    seed: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--table", type=Path, default=FILE)
    parser.add_argument("--minutes", type=float, default=3, help="simulated, of each search")
    parser.add_argument("--seeds", type=int, default=200, help="of each search, in each part")
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
        for part in (WHOLE, *HALVES):
            arms = {WITHOUT: (), **priors(options.table, part)}
            arms |= {name: tuple(settings) for name, *settings in options.given}
            for arm, settings in arms.items():
                tasks = [
                    Task(options.table, seconds, options.workers, part, (*common, *settings), seed)
                    for seed in range(options.seeds)
                ]
                found = summary(list(pool.map(one_search, tasks)), moments)
                measured.setdefault(part, {})[arm] = found
                print(f"{part}, {arm}: {' '.join(settings)}", file=sys.stderr)
    told = {name: value for name, value in vars(options).items() if name not in ("table", "processes")}
    publish("priors", {"table": options.table.name, **told}, measured, render(measured))


@cache
def parts(file: Path) -> tuple[Recording, dict[str, Table]]:
    """The table, and its halves, by turns: no half is better by the order in which they were drawn."""
    recording, trainings = read(file)
    halves = {
        name: Table.of(recording, [one for one in trainings if one.configuration % 2 == half])
        for half, name in enumerate(HALVES)
    }
    return recording, {WHOLE: Table.of(recording, trainings), **halves}


def priors(file: Path, part: str) -> dict[str, tuple[str, ...]]:
    """The settings of the arms that have a prior where this part of the table is searched."""
    tables = parts(file)[1]
    if part != WHOLE:
        best, _, worst = quarters(tables[HALVES[1 - HALVES.index(part)]])
        return {LEARNED: best, MISLEARNED: worst}
    best, middle, worst = quarters(tables[WHOLE])
    one_wrong = (
        *(one for one in best if not one.startswith(LEARNING_RATES)),
        *(one for one in worst if one.startswith(LEARNING_RATES)),
    )
    return {RIGHT: best, MIDDLING: middle, ONE_WRONG: one_wrong, WRONG: worst}


def quarters(known: Table) -> tuple[tuple[str, ...], ...]:
    """What a table's best quarter, the one in the middle, and the worst have in common, as settings.

    A configuration is as good as it is at its end with all schedules, on average.
    """

    def score(one: int) -> float:
        return fmean(known.truth(one, schedule, known.recording.epochs) for schedule in known.schedules)

    ranked = sorted(known.complete, key=lambda one: -score(one))
    quarter, middle = len(ranked) // 4, len(ranked) * 3 // 8
    chosen = ranked[:quarter], ranked[middle : middle + quarter], ranked[: -quarter - 1 : -1]
    return tuple(settings_of(known, one) for one in chosen)


def settings_of(known: Table, configurations: Sequence[int]) -> tuple[str, ...]:
    """What these configurations, the most telling first, have in common, as `--set` takes it."""
    among, everything = known.space.searched, frozenset(known.space.parameters)
    learned = learned_priors(known.space, [Good(known.complete[one], everything) for one in configurations])
    found = []
    for name, prior in learned.items():
        parameter, _, optimizer = name.rstrip("]").partition("[")
        key = f"space.{parameter}.prior{'.' if optimizer else ''}{optimizer}"
        found.append(override(key, as_written(among[name], prior)))
    return tuple(found)


def one_search(task: Task) -> Simulated:
    recording, tables = parts(task.file)
    searched = tables[task.part]
    answers = Answers(searched, Neighbours(searched.space, searched.complete), task.seed)
    experiment = experiment_of(recording, task.seconds, task.seed, task.settings)
    search = HarnessSearch(experiment, answers, task.workers)
    return simulate(search, answers, workers=task.workers, limit=task.seconds)


def render(measured: dict[str, dict[str, Any]]) -> str:
    rows = []
    for part, arms in measured.items():
        without = arms[WITHOUT]
        for arm, found in arms.items():
            cells = []
            for share in SHARES:
                target = without["median"][round(share * MOMENTS) - 1]
                own, usual = reached(found, target), reached(without, target)
                assert usual is not None
                cells.append("never" if own is None else f"{own:.0f} s ({own / usual:.2f})")
            rows.append([part, arm, f"{found['median'][-1]:.4f}", f"{found['trials']:.0f}", *cells])
    headers = ["table", "arm", "true score at the end", "trials"]
    return table([*headers, *(f"what without has after {share:g}" for share in SHARES)], rows)


if __name__ == "__main__":
    main()
