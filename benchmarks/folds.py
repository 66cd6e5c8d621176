"""What folds give and cost beside one validation split: the test score of what each of them chooses.

    python -m benchmarks.folds path/to/flowers --trials 20 --seeds 0 1 2 3 4
    python -m benchmarks.folds path/to/sign-digits --limit-train 300

For every seed, which decides the split, the folds and the search, a sweep of the experiment that `harness
init` writes is run without a time limit, once with one validation split and once with five folds. The chosen
model is tested on the images that were held out, which are the same for all. As the model of the folds is
trained on more images, the configuration that the split has chosen is also trained on all of them, so that
the choices can be compared alone.

All runs share one cache, so that none but the first one computes features. What a run costs are the seconds
that its workers were busy; the wall time has the start of the command in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.command import harness, on_test, trial
from benchmarks.tables import publish, table

ARMS = {"one split": "dataset.folds=null", "folds": "dataset.folds=5"}
RETRAINED = "one split, then all images"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--limit-train", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    folder = options.folder.absolute()
    limit = [] if options.limit_train is None else [f"dataset.limit_train={options.limit_train}"]
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="folds-") as cache:
        os.environ["HARNESS_CACHE"] = cache
        sweep(
            folder, [*limit, *options.set, ARMS["one split"], "seed=0"], options.trials
        )  # computes features
        for seed in options.seeds:
            for arm, override in ARMS.items():
                overrides = [*limit, *options.set, override, f"seed={seed}"]
                found += [
                    {"arm": name, "seed": seed, **run}
                    for name, run in sweep(folder, overrides, options.trials, retrains=arm != "folds").items()
                ]
                print(found[-1], file=sys.stderr)
    rows = []
    for arm in (*ARMS, RETRAINED):
        own = [one for one in found if one["arm"] == arm]
        scores = [one["test"] for one in own]
        rows.append(
            [
                arm,
                f"{statistics.mean(scores):.4f} ± {statistics.stdev(scores):.4f}",
                ", ".join(f"{score:.4f}" for score in scores),
                f"{statistics.mean(one['validation'] - one['test'] for one in own):+.4f}",
                f"{statistics.mean(one['busy'] for one in own):.1f}",
                f"{statistics.mean(one['wall'] for one in own):.1f}",
            ]
        )
    headers = ["arm", "test accuracy", "each seed", "validation − test", "workers busy, s", "wall, s"]
    settings = {key: value for key, value in vars(options).items() if value and key != "folder"}
    publish(f"folds-{folder.name}", settings, found, table(headers, rows))


def sweep(
    folder: Path, overrides: list[str], trials: int, *, retrains: bool = False
) -> dict[str, dict[str, float]]:
    """Run one sweep with stores of its own; by arm, what came of it.

    Args:
        folder: of the images.
        overrides: as `key=value`.
        trials: of the sweep.
        retrains: whether the configuration that it chose is trained on all images, too.
    """
    given = [part for override in overrides for part in ("--set", override)]
    with tempfile.TemporaryDirectory(prefix="folds-") as place:
        os.environ |= {"HARNESS_HOME": f"{place}/home", "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
        began = time.monotonic()
        command = ["sweep", str(folder), "--study", "s", "--trials", str(trials), "--timeout", "none", *given]
        subprocess.run([sys.executable, "-m", "harness", *command], check=True, stdout=subprocess.DEVNULL)
        wall = time.monotonic() - began
        best = json.loads(harness("leaderboard", "s", "--json", "--top", "1"))[0]
        study = Path(place) / "home" / "studies" / "s"
        lines = (study / "events.jsonl").read_text(encoding="utf-8").splitlines()
        told = [json.loads(line)["event"] for line in lines]
        busy = sum(event["seconds"] for event in told if event["kind"] == "segment_ended")
        chosen = trial("s", best["trial"])
        found = {
            "validation": best["score"],
            "test": on_test("s", best["trial"])["metrics"]["accuracy"],
            "busy": busy,
            "wall": wall,
        }
        if not retrains:
            return {"folds": found}
        test, seconds = on_all_images(study / "experiment.yaml", chosen["params"], given)
        return {
            "one split": found,
            RETRAINED: found | {"test": test, "busy": busy + seconds},
        }


def on_all_images(experiment: Path, params: dict[str, Any], given: list[str]) -> tuple[float, float]:
    """Train a configuration on all images that are not test images: its test accuracy, and the seconds."""
    searched = yaml.safe_load(experiment.read_text(encoding="utf-8"))["space"]
    space = {name: value for name, value in params.items() if name in searched}
    harness(
        "train", str(experiment), "--study", "all", *given, "--set", "dataset.validation_fraction=0",
        "--set", f"space={json.dumps(space)}",
    )  # fmt: skip
    return on_test("all")["metrics"]["accuracy"], float(trial("all")["seconds"])


if __name__ == "__main__":
    main()
