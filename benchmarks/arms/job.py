"""What an arm of a benchmark is given, and the stream in which it tells what it does.

An arm is a module that is run as `python -m benchmarks.arms.… job.json` in a folder of its own. It
appends lines to the stream: `began` when a configuration's training starts (TensorFlow is imported by
then), `epoch` with the validation accuracy after each epoch, `ended` when all that this tool does for
the configuration is done.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.records import Dataset, Params, Precision

STREAM = "stream.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    dataset: Dataset
    source: dict[str, Any]
    """The `dataset` section of an experiment file that makes `dataset`."""
    epochs: int
    """Of a full training."""
    workers: int
    seed: int = 0
    configurations: list[Params]
    """The list to train; empty where the arm searches."""
    space: dict[str, Any]
    """To search; empty where the list is fixed."""
    precision: Precision = "float32"
    """What harness and the bare loop compute with."""
    policy: str = "float32"
    """Keras's dtype policy in the other tools; what they compute with as they come."""
    cycles: tuple[int, ...] = ()
    """Epochs at which the learning rate comes down in configurations with `schedule: cycle_per_rung`."""
    seconds: float | None = None
    """After which the benchmark will end the arm; None: it ends by itself."""

    def write(self, folder: Path) -> Path:
        file = folder / "job.json"
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return file


def read_job() -> Job:
    """The job named on the command line."""
    values = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    dataset = values.pop("dataset")
    for name in ("classes", "image_shape", "warnings"):
        dataset[name] = tuple(dataset[name])
    cycles = tuple(values.pop("cycles"))
    return Job(dataset=Dataset(**dataset), cycles=cycles, **values)


def tell(
    kind: str,
    params: Params,
    *,
    epoch: int = 0,
    accuracy: float | None = None,
    seconds: float | None = None,
    **more: Any,
) -> None:
    """Append a line to the stream of the working directory; `seconds` since 1970, by default now."""
    line = {
        "time": time.time() if seconds is None else seconds,
        "kind": kind,
        "params": params,
        "epoch": epoch,
        "accuracy": accuracy,
        **more,
    }
    stream = Path(os.environ["BENCHMARK_STREAM"])
    with stream.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")
