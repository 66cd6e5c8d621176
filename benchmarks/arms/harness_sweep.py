"""The real `harness sweep`, and its event log as a stream."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.arms.job import Job, tell
from harness.paths import StudyPaths
from harness.records import EpochEnded, Params, SegmentEnded, SegmentStarted, TrialStarted
from harness.study.event_log import read

STUDY = "benchmark"


def sweep(job: Job, *options: str, **sections: Any) -> int:
    """Run `harness sweep` with these options on an experiment file with these sections; its exit status."""
    file = Path("experiment.yaml")  # JSON is YAML
    training = {"epochs": job.epochs, "precision": job.precision}
    whole = {"name": STUDY, "seed": job.seed, "dataset": job.source, "training": training}
    file.write_text(json.dumps(whole | sections), encoding="utf-8")
    command = [sys.executable, "-m", "harness", "sweep", str(file)]
    workers = ["--workers", str(job.workers)]
    return subprocess.run([*command, "--study", STUDY, *workers, *options], check=False).returncode


def tell_log() -> None:
    """Tell what the study's event log says."""
    params: dict[int, Params] = {}
    for record in read(StudyPaths.of(STUDY).log):
        event = record.event
        if isinstance(event, TrialStarted):
            params[event.trial] = event.params
        elif isinstance(event, SegmentStarted):
            tell("began", params[event.trial], seconds=event.time / 1000)
        elif isinstance(event, EpochEnded):
            accuracy = event.metrics["val_accuracy"]
            tell(
                "epoch", params[event.trial], epoch=event.epoch, accuracy=accuracy, seconds=event.time / 1000
            )
        elif isinstance(event, SegmentEnded):
            tell("ended", params[event.trial], seconds=event.time / 1000, segment_seconds=event.seconds)
