"""What a folder of photographs gives in a fixed time: heads on pretrained networks, networks from scratch.

    python -m benchmarks.photographs path/to/flowers --seconds 60 120 --seeds 0 1 2

Each run is a command as a user would type it, with stores and caches of its own, so that images are decoded
and features computed within it: `harness sweep FOLDER --timeout SECONDS`, and for the networks from scratch
`harness sweep cifar10 --dataset FOLDER --timeout SECONDS`. The best trial's model is tested on the images
that were held out, once, by `harness confirm measured --as-is`. The seed decides the split into training and
validation, and the search.

It is also told where a trial's time goes, by the event log: its share of the wall time, what of a worker's
time was spent in epochs, and the seconds from a complete trial's last epoch to its model.
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

from benchmarks.tables import publish, table

ARMS = {
    "pretrained": lambda folder: [folder],
    "from scratch": lambda folder: ["cifar10", "--dataset", folder],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder")
    parser.add_argument("--seconds", type=int, nargs="+", default=[120])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    options = parser.parse_args()
    found = []
    for seconds in options.seconds:
        for seed in options.seeds:
            for arm in options.arms:
                run = sweep(ARMS[arm](str(Path(options.folder).absolute())), seconds, seed)
                found.append({"arm": arm, "limit": seconds, "seed": seed, **run})
                print(found[-1], file=sys.stderr)
    rows = [
        [
            arm,
            seconds,
            ", ".join(f"{one['wall']:.0f}" for one in own),
            _all(own, "validation"),
            _all(own, "test"),
            f"{statistics.median(one['trials'] for one in own):.0f}",
            f"{statistics.median(one['wall_a_trial'] for one in own):.2f}",
            f"{statistics.median(one['epochs_a_trial'] for one in own):.2f}",
            f"{statistics.median(one['writing_a_model'] for one in own):.2f}",
        ]
        for seconds in options.seconds
        for arm in options.arms
        for own in [[one for one in found if (one["arm"], one["limit"]) == (arm, seconds)]]
    ]
    headers = [
        "arm", "limit, s", "took, s", "validation: median (each)", "test: median (each)", "trials",
        "s a trial", "of a worker's s in epochs", "s from a complete trial's last epoch to its model",
    ]  # fmt: skip
    name = Path(options.folder).absolute().name
    publish(f"photographs-{name}", {"seeds": options.seeds}, found, table(headers, rows))


def sweep(arguments: list[str], seconds: int, seed: int) -> dict[str, Any]:
    """Run one sweep with everything of its own, and test its best trial."""
    with tempfile.TemporaryDirectory(prefix="photographs-") as place:
        stores = {"HARNESS_HOME": f"{place}/home", "HARNESS_CACHE": f"{place}/cache"}
        command = [sys.executable, "-m", "harness", "sweep", *arguments, "--timeout", str(seconds)]
        began = time.monotonic()
        subprocess.run(
            [*command, "--set", f"seed={seed}", "--study", "measured"],
            env=os.environ | stores,
            stderr=subprocess.DEVNULL,
            check=False,  # it fails where no whole model fitted, and that is a result, too
        )
        wall = time.monotonic() - began
        tested = subprocess.run(
            [sys.executable, "-m", "benchmarks.arms.tested", "measured"],
            env=os.environ | stores,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        found: dict[str, Any] = json.loads(tested.stdout)
        return {"wall": wall, **found}


def _all(runs: list[dict[str, Any]], name: str) -> str:
    values = [one[name] for one in runs if one[name] is not None]
    if not values:
        return "none"
    return f"{statistics.median(values):.4f} ({', '.join(f'{one:.4f}' for one in values)})"


if __name__ == "__main__":
    main()
