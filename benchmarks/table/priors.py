"""What a prior is worth, right or wrong, on recorded learning curves.

    python -m benchmarks.table.priors --minutes 3 --seeds 200

On the whole table it is asked what somebody gains who says what is in truth good, and what one loses who is
mistaken. `right` has the best configuration in mind, but not its very numbers: with every seed they are off
by a tenth of their ranges (standard deviation), as the priors "near the optimum" of πBO's authors. `good` has
one of the best tenth in mind, with every seed another one, `middling` one of the tenth in the middle, and
`wrong` one of the worst tenth; `one wrong` is `right` but for the learning rate, which is at the far end of
its range. They say `prior: value` of each parameter and so have the usual spread.

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
import math
import random
import sys
from collections.abc import Mapping, Sequence
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
from harness.experiment.distributions import Choice, FloatRange, IntRange
from harness.experiment.overrides import override
from harness.experiment.priors import as_written
from harness.machine import usable_cores
from harness.records import Scalar
from harness.sweeping.learned import Good, learned_priors

WITHOUT, RIGHT, GOOD, MIDDLING = "without", "right", "good", "middling"
ONE_WRONG, WRONG = "one wrong", "wrong"
LEARNED, MISLEARNED = "learned", "mislearned"
WHOLE, HALVES = "whole", ("half 0", "half 1")
OFF = 0.1
"""By which share of its range a number is off that somebody says (standard deviation)."""
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
            given = {name: tuple(settings) for name, *settings in options.given}
            by_seed = [
                {WITHOUT: (), **priors(options.table, part, seed), **given} for seed in range(options.seeds)
            ]
            for arm in by_seed[0]:
                tasks = [
                    Task(options.table, seconds, options.workers, part, (*common, *arms[arm]), seed)
                    for seed, arms in enumerate(by_seed)
                ]
                measured.setdefault(part, {})[arm] = summary(list(pool.map(one_search, tasks)), moments)
                print(f"{part}, {arm}: {' '.join(by_seed[0][arm])}", file=sys.stderr)
    told = {name: value for name, value in vars(options).items() if name not in ("table", "processes")}
    publish("priors", {"table": options.table.name, **told}, thinned(measured), render(measured))


def thinned(measured: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What is kept of all that was measured: every tenth moment."""
    return {
        part: {
            arm: {name: value[9::10] if isinstance(value, list) else value for name, value in found.items()}
            for arm, found in arms.items()
        }
        for part, arms in measured.items()
    }


@cache
def parts(file: Path) -> tuple[Recording, dict[str, Table]]:
    """The table, and its halves, by turns: no half is better by the order in which they were drawn."""
    recording, trainings = read(file)
    halves = {
        name: Table.of(recording, [one for one in trainings if one.configuration % 2 == half])
        for half, name in enumerate(HALVES)
    }
    return recording, {WHOLE: Table.of(recording, trainings), **halves}


def priors(file: Path, part: str, seed: int) -> dict[str, tuple[str, ...]]:
    """The settings of the arms that have a prior where this part of the table is searched."""
    tables = parts(file)[1]
    if part != WHOLE:
        earlier = tables[HALVES[1 - HALVES.index(part)]]
        ordered = ranked(earlier)
        quarter = len(ordered) // 4
        chosen = {LEARNED: ordered[:quarter], MISLEARNED: ordered[: -quarter - 1 : -1]}
        return {arm: settings_of(earlier, configurations) for arm, configurations in chosen.items()}
    known = tables[WHOLE]
    ordered = ranked(known)
    tenth, middle = max(1, len(ordered) // 10), len(ordered) * 9 // 20
    rng = random.Random(f"priors {seed}")
    right = said(known, ordered[0], rng)
    return {
        RIGHT: settings(right),
        GOOD: settings(said(known, rng.choice(ordered[:tenth]), rng)),
        MIDDLING: settings(said(known, rng.choice(ordered[middle : middle + tenth]), rng)),
        ONE_WRONG: settings(at_the_far_end(known, right)),
        WRONG: settings(said(known, rng.choice(ordered[-tenth:]), rng)),
    }


def ranked(known: Table) -> list[int]:
    """A table's configurations, the best first, as they are at their ends with all schedules, on average."""

    def score(one: int) -> float:
        return fmean(known.truth(one, schedule, known.recording.epochs) for schedule in known.schedules)

    return sorted(known.complete, key=lambda one: -score(one))


def said(known: Table, configuration: int, rng: random.Random) -> dict[str, Scalar]:
    """What somebody says of each parameter, by the sampler's names, who has this configuration in mind."""
    params = known.complete[configuration]
    found: dict[str, Scalar] = {}
    for name, among in known.space.searched.items():
        parameter, _, optimizer = name.rstrip("]").partition("[")
        if optimizer in ("", params["optimizer"]):
            value = params[parameter]
            found[name] = (
                value if isinstance(among, Choice) else moved(among, float(value), rng.gauss(0, OFF))
            )
    return found


def moved(among: IntRange | FloatRange, value: float, share: float) -> Scalar:
    """The value that is such a share of a range away on its own scale, or else the range's end."""
    low, high = (math.log(end) if among.log else float(end) for end in (among.low, among.high))
    found = (math.log(value) if among.log else value) + share * (high - low)
    found = min(max(math.exp(found) if among.log else found, float(among.low)), float(among.high))
    return round(found) if isinstance(among, IntRange) else found


def at_the_far_end(known: Table, right: dict[str, Scalar]) -> dict[str, Scalar]:
    """The same, but for the learning rate."""
    found = dict(right)
    for name, value in right.items():
        among = known.space.searched[name]
        if name.startswith("learning_rate") and isinstance(among, FloatRange):
            is_low = float(value) < math.sqrt(among.low * among.high)
            found[name] = among.high if is_low else among.low
    return found


def settings(priors: Mapping[str, Any]) -> tuple[str, ...]:
    """What is said of parameters, by the sampler's names, as `--set` takes it."""
    found = []
    for name, prior in priors.items():
        parameter, _, optimizer = name.rstrip("]").partition("[")
        key = f"space.{parameter}.prior{'.' if optimizer else ''}{optimizer}"
        found.append(override(key, prior))
    return tuple(found)


def settings_of(known: Table, configurations: Sequence[int]) -> tuple[str, ...]:
    """What these configurations, the most telling first, have in common, as `--set` takes it."""
    among, everything = known.space.searched, frozenset(known.space.parameters)
    learned = learned_priors(known.space, [Good(known.complete[one], everything) for one in configurations])
    return settings({name: as_written(among[name], prior) for name, prior in learned.items()})


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
