"""Images a second into the training graph: the prepared cache against `image_dataset_from_directory`.

    python -m benchmarks.input path/to/images --repeats 3

The folder has class folders, all of whose images are trained on (so give `…/cifar10-images/train`). Both arms
hand shuffled batches of 64 as float32 to a graph that adds up a little of each, in a process of their
own. Told are: preparing (once for all trials and processes; only harness has such a step, into an empty
cache), opening in a new process, the first epoch there (Keras decodes the files in it, for every process
anew), and images a second in later epochs, the median.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.arms.job import Job
from benchmarks.runs import in_turns, prepared, run_arm
from benchmarks.tables import publish, table
from harness.experiment.dataset_config import DatasetConfig

ARMS = ("input_cache", "input_keras")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="input-") as folder:
        os.environ["HARNESS_CACHE"] = folder
        # Nothing is held out, so that both arms have all images.
        config = DatasetConfig(
            source=str(options.images.absolute()), validation_fraction=0.0, test_fraction=0.0
        )
        began = time.perf_counter()
        dataset = prepared(config)
        preparing = time.perf_counter() - began
        job = Job(
            dataset=dataset, source=config.model_dump(mode="json"), epochs=options.epochs, workers=1,
            configurations=[], space={},
        )  # fmt: skip
        runs: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
        for repeat, arm in in_turns(ARMS, options.repeats):
            found = summary(run_arm(f"benchmarks.arms.{arm}", job).stream)
            runs[arm].append(found)
            print(f"repeat {repeat + 1}, {arm}: {found['images_per_second']:,.0f} images/s", file=sys.stderr)
    medians = {
        arm: {name: statistics.median(run[name] for run in found) for name in found[0]}
        for arm, found in runs.items()
    }
    settings = {"images": dataset.counts["train"], "repeats": options.repeats, "epochs": options.epochs}
    rows = [
        [
            arm,
            f"{preparing:.1f}" if arm == "input_cache" else "",
            f"{one['opening']:.2f}",
            f"{one['first_epoch']:.2f}",
            f"{one['images_per_second']:,.0f}",
            f"{one['images_per_second'] / medians['input_keras']['images_per_second']:.2f}",
        ]
        for arm, one in medians.items()
    ]
    headers = ("arm", "preparing, s", "opening, s", "first epoch, s", "images/s later", "over Keras")
    publish("input", settings, {"preparing": preparing, "runs": runs}, table(headers, rows))


def summary(stream: list[dict[str, Any]]) -> dict[str, float]:
    epochs = [line for line in stream if line["kind"] == "epoch"]
    return {
        "opening": next(line["elapsed"] for line in stream if line["kind"] == "opened"),
        "first_epoch": epochs[0]["elapsed"],
        "images_per_second": statistics.median(line["images"] / line["elapsed"] for line in epochs[1:]),
    }


if __name__ == "__main__":
    main()
