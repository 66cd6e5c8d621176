"""The best validation accuracy over time, tool against tool, in the same space on the same images.

    python -m benchmarks.time_to_accuracy path/to/cifar10-images --minutes 10 --repeats 3

Every arm searches until its wall time is over (counted from the start of its process, so with all imports),
on the same number of worker processes, with at most `--epochs` epochs a configuration; harness is told of the
time by `--timeout`, for which the other tools' searches have no use. An accuracy counts from the moment it
was measured. For each repeat are told: each arm's best at the end; the moments at which another arm and
harness had reached the other's final best; and the test accuracy of each arm's winner, which is trained anew
in the same bare loop, to the epoch at which it had won, with three seeds. All compute in float32, or in
bfloat16 (`mixed_bfloat16` in the other tools) where the arm's name says so. Each run goes to a file of its
own in `benchmarks/results/time_to_accuracy/`, with its stream of (seconds, best so far). All of it takes
hours: with `--go-on`, runs of the same settings that are there are not made again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.arms.job import Job
from benchmarks.arms.searching import MIN_EPOCHS, REDUCTION
from benchmarks.configurations import SPACES, WORKLOADS, datasets
from benchmarks.runs import Run, in_turns, prepared, run_arm
from benchmarks.tables import RESULTS, publish, table
from harness.machine import usable_cores
from harness.paths.durable import write_text
from harness.schedulers.halving import rung_epochs

RUNS = RESULTS / "time_to_accuracy"
IN_BFLOAT16 = "_bfloat16"
"""What the names of arms end with that do not compute in float32."""
ARMS = (
    "random", "keras_tuner_hyperband", "optuna_hyperband", "ray_tune_asha", "harness",
    "optuna_hyperband_bfloat16", "ray_tune_asha_bfloat16", "harness_bfloat16",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("images", nargs="?", type=Path, help="a folder of images; left out: digits only")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--digits-minutes", type=float, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("--go-on", action="store_true", help="keep the runs that were made before")
    options = parser.parse_args()

    for workload, config in datasets(options.images, 10_000, options.workloads).items():
        minutes = options.digits_minutes if workload == "digits" else options.minutes
        job = Job(
            dataset=prepared(config),
            source=config.model_dump(mode="json"),
            epochs=options.epochs,
            workers=options.workers,
            configurations=[],
            space=SPACES[workload],
            seconds=60 * minutes,
        )
        runs: list[dict[str, Any]] = []
        settings = {"minutes": minutes, "epochs": options.epochs, "workers": options.workers}
        for repeat, arm in in_turns(options.arms, options.repeats):
            file = RUNS / f"{workload}-{repeat}-{arm}.json"
            found = kept(file, settings) if options.go_on else None
            if found is None:
                own = replace(job, seed=repeat)
                if arm.endswith(IN_BFLOAT16):
                    own = replace(own, precision="bfloat16", policy="mixed_bfloat16")
                run = run_arm(f"benchmarks.arms.search.{arm.removesuffix(IN_BFLOAT16)}", own)
                found = {"arm": arm, "repeat": repeat} | summary(run, 60 * minutes)
                keep(file, settings, found)
            runs.append(found)
            print(
                f"{workload}, repeat {repeat + 1}, {arm}: best {found['best']:.4f}, "
                f"{found['epochs']} epochs of {found['begun']} segments",
                file=sys.stderr,
            )
        for found in runs:
            if "test" not in found:
                own = replace(job, seed=found["repeat"])
                found["test"] = test_accuracy(own, found["params"], found["epoch"])
                keep(RUNS / f"{workload}-{found['repeat']}-{found['arm']}.json", settings, found)
        publish(f"time_to_accuracy-{workload}", settings | {"repeats": options.repeats}, runs, render(runs))


def summary(run: Run, seconds: float) -> dict[str, Any]:
    """The best accuracy within the time, what it belongs to, and how it grew."""
    epochs = [line for line in run.stream if line["kind"] == "epoch" and line["time"] <= run.began + seconds]
    if not epochs:
        raise SystemExit(f"no epoch ended within {seconds:g} s: give more --minutes")
    winner = max(epochs, key=lambda line: line["accuracy"])
    growth: list[tuple[float, float]] = []
    for line in epochs:
        if not growth or line["accuracy"] > growth[-1][1]:
            growth.append((line["time"] - run.began, line["accuracy"]))
    return {
        "best": winner["accuracy"],
        "params": winner["params"],
        "epoch": winner["epoch"],
        "growth": growth,
        "epochs": len(epochs),
        "begun": sum(line["kind"] == "began" for line in run.stream),
    }


def test_accuracy(job: Job, params: dict[str, Any], epochs: int) -> float:
    """The mean over seeds of the winner trained anew."""
    # The time is nobody's, so all cores may serve one process.
    cycles = tuple(rung_epochs(MIN_EPOCHS, job.epochs, REDUCTION))
    again = replace(job, configurations=[params], epochs=epochs, cycles=cycles, workers=1, seconds=None)
    run = run_arm("benchmarks.arms.retrain", again)
    return statistics.mean(line["accuracy"] for line in run.stream)


def keep(file: Path, settings: dict[str, Any], found: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps({"settings": settings, "found": found}) + "\n")


def kept(file: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """What was found by an earlier run with these settings; None if there was none."""
    if not file.exists():
        return None
    try:
        earlier = json.loads(file.read_text(encoding="utf-8"))
        return dict(earlier["found"]) if earlier["settings"] == settings else None
    except (ValueError, KeyError, TypeError):
        raise SystemExit(f"{file} is damaged. Delete it, and its run is made again.") from None


def reached(growth: list[tuple[float, float]], accuracy: float) -> float | None:
    """The seconds at which the best so far was at least `accuracy`."""
    # Tools differ in the digits behind the sixth: some measure in float32.
    return next((seconds for seconds, best in growth if round(best, 6) >= round(accuracy, 6)), None)


def render(runs: list[dict[str, Any]]) -> str:
    arms = list(dict.fromkeys(run["arm"] for run in runs))
    rows = []
    for arm in arms:
        own = [run for run in runs if run["arm"] == arm]
        rows.append(
            [
                arm,
                f"{statistics.median(run['best'] for run in own):.4f}",
                ", ".join(f"{run['best']:.4f}" for run in own),
                f"{statistics.median(run['test'] for run in own):.4f}",
                f"{statistics.median(run['epochs'] for run in own):.0f}",
            ]
        )
    text = table(("arm", "best validation accuracy, median", "each", "test accuracy, median", "epochs"), rows)
    overtaken = []
    for repeat in sorted({run["repeat"] for run in runs}):
        by_arm = {run["arm"]: run for run in runs if run["repeat"] == repeat}
        for ending in ("", IN_BFLOAT16):  # each is compared with harness in the same precision
            ours = by_arm.pop(f"harness{ending}", None)
            peers = [run for run in by_arm.values() if run["arm"].endswith(IN_BFLOAT16) == bool(ending)]
            for peer in sorted(peers, key=lambda run: -run["best"]) if ours else ():
                theirs, mine = (reached(run["growth"], peer["best"]) for run in (peer, ours))
                told = "never" if mine is None else f"{mine:.0f}"
                ratio = "" if mine is None or theirs is None else f"{mine / theirs:.2f}"
                overtaken.append(
                    [repeat + 1, peer["arm"], f"{peer['best']:.4f}", f"{theirs:.0f}", told, ratio]
                )
    if overtaken:
        text += "\n\n" + table(
            ("repeat", "other arm", "its final best", "its time there, s", "harness's, s", "ratio"),
            overtaken,
        )
    return text


if __name__ == "__main__":
    main()
