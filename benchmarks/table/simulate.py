"""Searches on recorded learning curves: simulated minutes, hundreds of seeds, no training.

    .venv-bench/bin/python -m benchmarks.table.simulate --minutes 10 --seeds 200
    .venv-bench/bin/python -m benchmarks.table.simulate --arms random harness \
        --variant constant space.schedule=constant \
        --variant hyperband scheduler.kind=hyperband

Every arm is the tool's own code: harness's sampler, scheduler and policy, Optuna's TPE and pruners,
KerasTuner's oracle, Ray Tune's scheduler. The table (`benchmarks.table.record`) answers what they train, and
a made-up clock runs on two workers: an epoch takes what it took, and compiling too, once a worker and program
in harness and whenever a model is built in the other tools. Their epochs are taken to last as long as
harness's, which favours them (`benchmarks.overhead` has their work, compiling included, 1.4 to 1.6 times as
long); `--others-slower` says otherwise. What is suggested is answered by the nearest recorded configuration
(`benchmarks.table.neighbours`); a search that has been given all of them is given them again, so look at how
many it was given before believing what it has found.

Trials that harness trains to their ends early, in the last part of the time limit, were not recorded: what
such a training comes to is read off the cycles that were (`Table.trained`).

At any time a search would return the configuration, trained to the epoch, that it has seen the best accuracy
of. Its *true* score is the mean over all seeds that it was trained with, so nobody gains by luck. Told are
the medians and quartiles over the seeds of the search; and when each arm's median has reached that of the
best other tool at the end.

All arms start empty. `--portfolio` names a file with configurations to begin with (JSON or YAML, a list), for
an arm of its own: choose them by anything but this table.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.table.clock import Answers, Search, Simulated, simulate
from benchmarks.table.curves import FILE, Table, read
from benchmarks.table.neighbours import Neighbours
from benchmarks.tables import publish, table
from harness.errors import HarnessError
from harness.machine import usable_cores

PACKAGES: dict[str, tuple[str, ...]] = {
    "random": (),
    "keras_tuner_hyperband": ("keras_tuner",),
    "optuna_hyperband": (),
    "optuna_halving": (),
    "ray_tune_asha": ("ray", "fsspec"),
    "harness": (),
}
"""The arms, and the packages that each needs beside those of harness."""
OTHERS = tuple(arm for arm in PACKAGES if arm != "harness")
SETTABLE = ("scheduler.", "space.", "search.sampler=", "start_with=")
"""How settings begin that a simulation follows."""
PORTFOLIO = "harness, portfolio"


@dataclass(frozen=True, slots=True)
class Settings:
    """Of all simulations."""

    file: Path
    seconds: float
    workers: int
    slower: float
    """How many times as long as in the table everything takes."""
    others_slower: float
    """How many times as long as harness's the other tools' epochs and compiling take."""
    variants: Mapping[str, tuple[str, ...]]
    """What is set in harness's experiment, by arm."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--table", type=Path, default=FILE)
    parser.add_argument("--minutes", type=float, default=10, help="simulated, of each search")
    parser.add_argument("--seeds", type=int, default=200, help="of each search")
    parser.add_argument("--workers", type=int, default=2, help="simulated")
    parser.add_argument("--arms", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument(
        "--variant", nargs="+", action="append", default=[], metavar=("NAME", "KEY=VALUE"),
        help="another arm: harness with these settings",
    )  # fmt: skip
    parser.add_argument(
        "--portfolio", type=Path, help="configurations that another arm of harness begins with"
    )
    parser.add_argument("--slower", type=float, default=1.0, help="how many times as long everything takes")
    parser.add_argument("--others-slower", type=float, default=1.0, help="the other tools, beside harness")
    parser.add_argument("--processes", type=int, default=usable_cores(), help="that simulate side by side")
    options = parser.parse_args()

    variants = {name: tuple(settings) for name, *settings in options.variant}
    if options.portfolio is not None:
        variants[PORTFOLIO] = (f"start_with={options.portfolio.read_text(encoding='utf-8')}",)
    if clash := [name for name in variants if name in PACKAGES]:
        raise SystemExit(f"--variant: {clash[0]} is an arm already; choose another name.")
    settings = Settings(
        options.table,
        60 * options.minutes,
        options.workers,
        options.slower,
        options.others_slower,
        variants,
    )
    arms = [*options.arms, *variants]
    check(settings, arms)
    found = run(settings, arms, range(options.seeds), options.processes)
    moments = np.linspace(0, settings.seconds, 121)[1:]
    told = {
        name: value.name if isinstance(value, Path) else value
        for name, value in vars(options).items()
        if name != "processes"
    }
    measured = {arm: summary(simulated, moments) for arm, simulated in found.items()}
    publish("table", told, measured, render(measured))


def check(settings: Settings, arms: Sequence[str]) -> None:
    """Raises SystemExit, with a sentence, if an arm cannot be simulated."""
    for arm in arms:
        if lacking := missing(arm):
            raise SystemExit(
                f"{arm}: {lacking[0]} is not installed here. Run this by .venv-bench/bin/python (made by "
                "`make bench-setup`), or choose other --arms."
            )
    from benchmarks.table.searches.harness import experiment_of

    recording, _ = read(settings.file)
    for name, given in settings.variants.items():
        if unknown := [one for one in given if not one.startswith(SETTABLE)]:
            raise SystemExit(
                f"{name}: {unknown[0]} changes nothing here; a simulation follows the sections scheduler and "
                "space, search.sampler and start_with."
            )
        try:
            experiment_of(recording, settings.seconds, 0, given)
        except HarnessError as error:
            raise SystemExit(f"{name}: {error}") from None


def missing(arm: str) -> list[str]:
    """The packages that an arm lacks."""
    return [package for package in PACKAGES.get(arm, ()) if importlib.util.find_spec(package) is None]


def run(
    settings: Settings, arms: Sequence[str], seeds: Sequence[int], processes: int
) -> dict[str, list[Simulated]]:
    """What every arm finds with every seed."""
    tasks = [(arm, seed) for arm in arms for seed in seeds]
    found: dict[str, list[Simulated]] = {arm: [] for arm in arms}
    if processes == 1:
        results = map(partial(one_search, settings), *zip(*tasks, strict=True))
        collect(tasks, results, found)
    else:
        with ProcessPoolExecutor(processes) as pool:
            collect(tasks, pool.map(partial(one_search, settings), *zip(*tasks, strict=True)), found)
    return found


def collect(tasks: Sequence[tuple[str, int]], results: Any, found: dict[str, list[Simulated]]) -> None:
    for number, ((arm, _), simulated) in enumerate(zip(tasks, results, strict=True), 1):
        found[arm].append(simulated)
        if number % 50 == 0 or number == len(tasks):
            print(f"{number} of {len(tasks)} searches: {arm}", file=sys.stderr)


def one_search(settings: Settings, arm: str, seed: int) -> Simulated:
    slower = settings.slower * (settings.others_slower if arm in OTHERS else 1.0)
    loaded, neighbours = loaded_table(settings.file, slower)
    answers = Answers(loaded, neighbours, seed)
    search = made(arm, settings, answers, seed)
    return simulate(search, answers, workers=settings.workers, limit=settings.seconds)


@cache
def loaded_table(file: Path, slower: float) -> tuple[Table, Neighbours]:
    found = Table.of(*read(file), slower)
    return found, Neighbours(found.space, found.complete)


def made(arm: str, settings: Settings, answers: Answers, seed: int) -> Search:
    """A search at its beginning."""
    loaded = answers.table
    if arm == "random":
        from benchmarks.table.searches.random import RandomSearch

        return RandomSearch(loaded, seed)
    if arm == "keras_tuner_hyperband":
        from benchmarks.table.searches.keras_tuner import KerasTunerHyperband

        return KerasTunerHyperband(loaded, seed)
    if arm in ("optuna_hyperband", "optuna_halving"):
        from benchmarks.table.searches import optuna

        begin = optuna.with_hyperband if arm == "optuna_hyperband" else optuna.with_halving
        return begin(loaded, seed, settings.workers)
    if arm == "ray_tune_asha":
        from benchmarks.table.searches.ray_tune import RayAsha

        return RayAsha(loaded, seed)
    from benchmarks.table.searches.harness import HarnessSearch, experiment_of

    own = settings.variants.get(arm, ())
    experiment = experiment_of(loaded.recording, settings.seconds, seed, own)
    return HarnessSearch(experiment, answers, settings.workers)


def scores_at(simulated: Simulated, moments: npt.NDArray[np.float64], score: str) -> npt.NDArray[np.float64]:
    """What would be returned at each of these seconds: the `true` or `observed` score; before any, 0."""
    seconds = [one.seconds for one in simulated.incumbents]
    values = np.array([0.0, *(getattr(one, score) for one in simulated.incumbents)])
    return values[np.searchsorted(seconds, moments, side="right")]


def summary(simulated: Sequence[Simulated], moments: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Quartiles over the seeds, at each of these seconds."""
    true = np.array([scores_at(one, moments, "true") for one in simulated])
    low, middle, high = np.percentile(true, [25, 50, 75], axis=0)
    return {
        "seconds": rounded(moments),
        "low": rounded(low),
        "median": rounded(middle),
        "high": rounded(high),
        "observed": round(median(scores_at(one, moments[-1:], "observed")[0] for one in simulated), 5),
        **{
            name: median(getattr(one, name) for one in simulated)
            for name in ("epochs", "trials", "configurations", "busy_seconds")
        },
    }


def rounded(values: npt.NDArray[np.float64]) -> list[float]:
    return [round(float(value), 5) for value in values]


def reached(found: Mapping[str, Any], score: float) -> float | None:
    """The seconds at which the median was this good, and stayed so; None if it was not."""
    seconds = None
    for moment, middle in zip(found["seconds"], found["median"], strict=True):
        seconds = None if middle < score else seconds or moment
    return seconds


def render(measured: Mapping[str, Mapping[str, Any]]) -> str:
    peers = [arm for arm in measured if arm in OTHERS]
    best = max(peers, key=lambda arm: measured[arm]["median"][-1], default=None)
    target = measured[best]["median"][-1] if best else None
    its_own = reached(measured[best], target) if best else None

    def told(found: Mapping[str, Any]) -> tuple[str, str]:
        seconds = None if target is None else reached(found, target)
        if seconds is None or its_own is None:
            return "never", ""
        return f"{seconds:.0f}", f"{seconds / its_own:.2f}"

    rows = [
        [
            arm,
            f"{found['median'][-1]:.4f} ({found['low'][-1]:.4f}, {found['high'][-1]:.4f})",
            f"{found['observed']:.4f}",
            f"{found['epochs']:.0f}",
            f"{found['trials']:.0f}",
            f"{found['configurations']:.0f}",
            *told(found),
        ]
        for arm, found in measured.items()
    ]
    headers = (
        "arm", "true score, median (quartiles)", "observed", "epochs", "trials", "configurations",
        f"at {best}'s end, s", "ratio",
    )  # fmt: skip
    whole = next(iter(measured.values()))["seconds"]
    places = [round((part + 1) * len(whole) / 10) - 1 for part in range(10)]
    over_time = [
        [arm, *(f"{found['median'][place]:.4f}" for place in places)] for arm, found in measured.items()
    ]
    seconds = (f"{whole[place]:.0f} s" for place in places)
    return f"{table(headers, rows)}\n\nMedians over time:\n\n{table(('arm', *seconds), over_time)}"


if __name__ == "__main__":
    main()
