"""What a tool costs beside the training itself, on a fixed list of configurations.

    python -m benchmarks.overhead path/to/cifar10-images --repeats 3

Every arm trains the same networks (`benchmarks.configurations`) on the same images with the same batch
sizes for the same number of epochs, without pruning, on the same number of worker processes, and
evaluates on the validation split after each epoch. Of each run three times are taken:

- work: from the moment the first configuration's training begins (TensorFlow is imported) to the moment
  the last one's is done with all that the tool does for it, including everything in between: building
  and compiling, checkpoints, model files, waiting for the tool, and in harness the loading of the
  prepared data. For the bare loop this is T*: its processes have loaded the data, as all others have
  decoded it, before it starts. For harness it is T_wall, from the first `segment_started` to the last
  `segment_ended` of the event log.
- start: from the start of the arm's process to the first configuration's.
- command: from the start of the arm's process to its end, so with imports, with the start of servers
  and workers, and with what is written at the end (harness: until MLflow and Optuna are up to date).

`--precision` is what harness and the bare loop compute with, `--policy` Keras's dtype policy in the others.

score = T*/T_wall, the bare loop's work over harness's work; and the same of the commands. The arms take
turns (A B C, C B A, …); medians over the repeats are shown. The arm `harness_ray` is the same sweep with
`--engine ray`, on a Ray of its own or, where RAY_ADDRESS names one, on that cluster.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from benchmarks.arms.job import Job
from benchmarks.configurations import CONFIGURATIONS, WORKLOADS, datasets
from benchmarks.runs import Run, in_turns, prepared, run_arm
from benchmarks.tables import publish, table
from harness.machine import usable_cores
from harness.records import Precision

ARMS = ("bare", "optuna_mlflow", "keras_tuner", "ray_tune", "harness", "harness_ray")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("images", nargs="?", type=Path, help="a folder of images; left out: digits only")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--digits-epochs", type=int, default=18)
    parser.add_argument("--cifar10-epochs", type=int, default=4)
    parser.add_argument(
        "--configurations", type=int, default=len(CONFIGURATIONS), help="only the first so many"
    )
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--precision", choices=get_args(Precision), default="float32")
    parser.add_argument("--policy", choices=("float32", "mixed_bfloat16"), default="float32")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    options = parser.parse_args()

    epochs = {"digits": options.digits_epochs, "cifar10": options.cifar10_epochs}
    jobs = {
        name: Job(
            dataset=prepared(config),
            source=config.model_dump(mode="json"),
            epochs=epochs[name],
            workers=options.workers,
            configurations=CONFIGURATIONS[: options.configurations],
            space={},
            precision=options.precision,
            policy=options.policy,
        )
        for name, config in datasets(options.images, 5000, options.workloads).items()
    }
    for workload, job in jobs.items():
        runs: dict[str, list[dict[str, Any]]] = {arm: [] for arm in options.arms}
        for repeat, arm in in_turns(options.arms, options.repeats):
            found = summary(run_arm(f"benchmarks.arms.fixed.{arm}", replace(job)), job)
            runs[arm].append(found)
            print(
                f"{workload}, repeat {repeat + 1}, {arm}: work {found['work_seconds']:.1f} s, "
                f"command {found['command_seconds']:.1f} s, accuracy {found['accuracy']:.4f}",
                file=sys.stderr,
            )
        settings = {
            "configurations": options.configurations,
            "workers": options.workers,
            "repeats": options.repeats,
            "epochs": job.epochs,
            "precision": options.precision,
            "policy": options.policy,
        }
        only_engines = set(options.arms) <= {"harness", "harness_ray"}
        suffix = "-bfloat16" * (options.precision == "bfloat16") + "-engines" * only_engines
        publish(f"overhead-{workload}{suffix}", settings, runs, render(runs))


def summary(run: Run, job: Job) -> dict[str, Any]:
    accuracies = run.final_accuracies()
    if len(accuracies) != len(job.configurations):
        raise SystemExit(f"{len(accuracies)} of {len(job.configurations)} configurations were trained")
    return {
        "work_seconds": run.work_seconds,
        "start_seconds": run.start_seconds,
        "command_seconds": run.command_seconds,
        "accuracy": statistics.mean(accuracies.values()),
        "accuracies": list(accuracies.values()),
    }


def render(runs: dict[str, list[dict[str, Any]]]) -> str:
    def median(arm: str, name: str) -> float:
        return statistics.median(run[name] for run in runs[arm])

    rows = []
    for arm in runs:
        row = [arm, *(f"{median(arm, f'{name}_seconds'):.1f}" for name in ("start", "work", "command"))]
        for name in ("work_seconds", "command_seconds"):
            row.append(f"{median(arm, name) / median('harness', name):.2f}" if "harness" in runs else "")
            row.append(f"{median('bare', name) / median(arm, name):.3f}" if "bare" in runs else "")
        rows.append([*row, f"{median(arm, 'accuracy'):.4f}"])
    headers = (
        "arm", "start, s", "work, s", "command, s", "work over harness's", "T*/work",
        "command over harness's", "bare command/command", "mean accuracy",
    )  # fmt: skip
    return table(headers, rows)


if __name__ == "__main__":
    main()
