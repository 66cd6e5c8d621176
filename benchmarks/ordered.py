"""What deciding in a fixed order costs: workers that wait for the result of an older segment.

    python -m benchmarks.ordered --repeats 3

`harness sweep` (quickstart: TPE and ASHA) as results come and with `--ordered`, in turns. Idle is the share
of the workers' time, between the first segment and the end of the last, in which they trained nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.command import harness
from benchmarks.runs import in_turns
from benchmarks.tables import publish, table
from harness.machine import usable_cores

ARMS: dict[str, list[str]] = {"as results come": [], "ordered": ["--ordered"]}


def run(arm: str, trials: int, workers: int, seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"HARNESS_HOME": folder, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        harness(
            "sweep", "--study", "s", "--trials", str(trials), "--workers", str(workers),
            "--set", f"seed={seed}", "--set", "training.precision=float32", *ARMS[arm],
        )  # fmt: skip
        lines = (Path(folder) / "studies" / "s" / "events.jsonl").read_text(encoding="utf-8").splitlines()
        best = json.loads(harness("leaderboard", "s", "--json", "--top", "1"))[0]["score"]
    told: list[dict[str, Any]] = [json.loads(line)["event"] for line in lines]
    began = min(event["time"] for event in told if event["kind"] == "segment_started")
    ends = [event for event in told if event["kind"] == "segment_ended"]
    wall = (max(event["time"] for event in ends) - began) / 1000
    busy = sum(event["seconds"] for event in ends)
    return {"wall": wall, "idle": 1 - busy / (wall * workers), "best": best}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--workers", type=int, default=usable_cores())
    options = parser.parse_args()
    measured: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    for repeat, arm in in_turns(list(ARMS), options.repeats):
        measured[arm].append(run(arm, options.trials, options.workers, seed=repeat))
        print(f"repeat {repeat + 1}, {arm}: {measured[arm][-1]}", file=sys.stderr)
    rows = [
        [arm, *(f"{statistics.median(one[name] for one in runs):.3f}" for name in ("wall", "idle", "best"))]
        for arm, runs in measured.items()
    ]
    publish("ordered", vars(options), measured, table(("decisions", "wall, s", "idle share", "best"), rows))


if __name__ == "__main__":
    main()
