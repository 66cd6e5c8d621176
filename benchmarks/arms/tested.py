"""The best trial of a study on its test images, and where its trials' time went."""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.command import on_test
from harness.paths import StudyPaths
from harness.records import EpochEnded, LogRecord, ModelSaved, SegmentEnded, SegmentStarted
from harness.study.event_log import read
from harness.study.state import StudyState, best, fold


def main() -> None:
    (name,) = sys.argv[1:]
    records = read(StudyPaths.of(name).log)
    print(json.dumps(tested(fold(records)) | seconds(records)))


def tested(state: StudyState) -> dict[str, Any]:
    champion = best(state)
    trials = len(state.trials)
    if champion is None or champion.model is None:
        return {"trials": trials, "validation": None, "test": None, "params": None}
    return {
        "trials": trials,
        "validation": champion.score,
        "test": on_test(state.name, champion.number)["metrics"]["accuracy"],
        "params": champion.params,
        "model_bytes": champion.model.size,
    }


def seconds(records: list[LogRecord]) -> dict[str, float]:
    """Wall time and epochs for a trial, and for a complete one what follows its last epoch."""
    events = [record.event for record in records]
    started = {(one.trial, one.attempt): one.time for one in events if isinstance(one, SegmentStarted)}
    ended = [one for one in events if isinstance(one, SegmentEnded)]
    trials = max(1, len({one.trial for one in events if isinstance(one, SegmentStarted)}))
    epochs = sum(one.metrics["epoch_seconds"] for one in events if isinstance(one, EpochEnded))
    writing = [one.time - started[one.trial, one.attempt] - 1000 * one.seconds for one in ended if one.over]
    models = max(1, sum(isinstance(one, ModelSaved) for one in events))
    wall = ended[-1].time - min(started.values()) if ended else 0
    return {
        "wall_a_trial": wall / 1000 / trials,
        "epochs_a_trial": epochs / trials,
        "writing_a_model": sum(writing) / 1000 / models,
    }


if __name__ == "__main__":
    main()
