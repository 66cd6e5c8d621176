"""Forecast against measured: what epochs take, once compiled, on as many workers at once as a sweep has.

    python -m benchmarks.forecast path/to/cifar10-images --space cifar10 --configurations 30

From a space, configurations are drawn at random. A worker measures how fast it works (as `harness plan` has
it measured, but anew) and counts what their networks cost; from that every epoch is forecast. Then each of
the workers, all at once, trains its share of the configurations on the data set's own images: of an epoch
that takes longer than `--seconds`, as many steps as fit in there, and as many validation images (the rest is
in proportion). Each time is taken three times, and the median counts.

Two ratios of forecast to measured are printed: by the clock on the wall, and by the workers' processor time.
With one thread a worker they are the same on a machine that nobody else uses. The global correction is one
factor for all forecasts, the median ratio.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.runs import prepared
from benchmarks.tables import publish, table
from harness.engine.environment import SAFE_PATH, worker_environment
from harness.engine.local import threads_of
from harness.experiment.drawing import drawn_at_random
from harness.experiment.experiment import Experiment
from harness.experiment.load import load
from harness.experiment.parameters import applies, complete
from harness.experiment.rates import Rates
from harness.experiment.space import resolve
from harness.machine import usable_cores
from harness.records import Cost, Dataset, Params
from harness.sweeping.forecast import Forecast

SPACES = {
    "quickstart": ("quickstart", []),
    "cifar10": ("cifar10", ["dataset.limit_train=2000"]),
    "families": ("families", []),
    "photographs": ("families", ["dataset.image_size=[96, 96]"]),
}
"""By name, a built-in experiment and what is set in it."""
NEAR = 0.3
"""A forecast that is off by no more counts as right."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "images", nargs="?", type=Path, help="a folder of images, for cifar10 and photographs"
    )
    parser.add_argument("--space", choices=SPACES, default="quickstart")
    parser.add_argument("--configurations", type=int, default=30)
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--seconds", type=float, default=1.5, help="of training for each configuration")
    parser.add_argument(
        "--limit", type=float, default=900.0, help="seconds, after which what is measured counts"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    name, settings = SPACES[options.space]
    if options.images is not None:
        settings = [*settings, f"dataset.source={options.images.absolute()}"]
    experiment = load(name, settings)
    dataset = prepared(experiment.dataset)
    drawn = draw(experiment, options.configurations, options.seed)
    task = {
        "threads": threads_of(options.workers),
        "dataset": asdict(dataset),
        "precision": options.precision,
        "seconds": options.seconds,
    }
    measured = measure(task, drawn, options.workers, options.limit)
    rows = [compared(one, dataset) for one in measured]
    publish(f"forecast-{options.space}", vars(options) | {"images": dataset.name}, rows, render(rows))


def draw(experiment: Experiment, number: int, seed: int) -> list[Params]:
    rng = drawn_at_random(random.Random(seed))
    return [complete(resolve(experiment.space, rng)[0], experiment.model) for _ in range(number)]


def measure(task: dict[str, Any], drawn: list[Params], workers: int, limit: float) -> list[dict[str, Any]]:
    """What the workers tell of their configurations, each with the rates that its worker has measured."""
    processes = [
        subprocess.Popen(
            [sys.executable, *SAFE_PATH, "-m", "benchmarks.arms.epoch_times"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=worker_environment(worker, task["threads"], []) | {"PYTHONPATH": str(Path.cwd())},
            text=True,
        )
        for worker in range(workers)
    ]
    found: list[dict[str, Any]] = []

    def listen(worker: int) -> None:
        stdin, stdout = processes[worker].stdin, processes[worker].stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(task | {"configurations": drawn[worker::workers]}) + "\n")
        stdin.flush()
        for line in stdout:
            if line.strip() == "through":
                return
            found.append(json.loads(line))
            print(f"{len(found)} of {len(drawn)}", file=sys.stderr)

    with ThreadPoolExecutor(workers) as pool:
        told = [pool.submit(listen, worker) for worker in range(workers)]
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline and not all(one.done() for one in told):
            time.sleep(0.2)
        for process in processes:
            process.kill()
    return found


def compared(measured: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Forecast seconds of an epoch and of compiling beside the measured ones."""
    params, cost = measured["params"], Cost.of(measured["cost"])
    counts = dataset.counts
    forecast = Forecast(Rates(**measured["rates"]), counts["train"], counts["validation"])
    wall, processor = measured["epoch"]
    return {
        "configuration": describe(params),
        "forecast": forecast.epoch_seconds(params, cost),
        "wall": wall,
        "processor": processor,
        "compiling_forecast": forecast.compile_seconds(params, cost),
        "compiling": measured["compile"],
        "cost": measured["cost"],
        "rates": measured["rates"],
    }


def describe(params: Params) -> str:
    names = ("family", "depth", "width", "convs", "stages", "cell", "optimizer", "augmentation", "batch_size")
    return " ".join(str(params[name]) for name in names if applies(name, params))


def render(rows: list[dict[str, Any]]) -> str:
    def near(clock: str, *, corrected: bool) -> str:
        ratios = [row["forecast"] / row[clock] for row in rows]
        factor = statistics.median(ratios) if corrected else 1.0
        right = sum(abs(ratio / factor - 1) <= NEAR for ratio in ratios)
        worst = max((ratio / factor for ratio in ratios), key=lambda ratio: max(ratio, 1 / ratio))
        return f"{right} of {len(rows)} (worst {worst:.2f})"

    lines = [
        [
            row["configuration"], f"{row['forecast']:.3g}", f"{row['wall']:.3g}", f"{row['processor']:.3g}",
            f"{row['forecast'] / row['wall']:.2f}", f"{row['forecast'] / row['processor']:.2f}",
        ]
        for row in sorted(rows, key=lambda row: float(row["forecast"]))
    ]  # fmt: skip
    headers = ("configuration", "forecast, s", "wall, s", "processor, s", "over wall", "over processor")
    summary = table(
        (f"within {NEAR:.0%}", "as forecast", "after the global correction"),
        [
            [clock, near(clock, corrected=False), near(clock, corrected=True)]
            for clock in ("wall", "processor")
        ],
    )
    return f"{table(headers, lines)}\n\n{summary}"


if __name__ == "__main__":
    main()
