"""The best trial of a study on the images that were held out, and where its trials' time went, as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.arrays import load
from harness.model.keras_setup import import_keras
from harness.records import EpochEnded, LogRecord, ModelSaved, SegmentEnded, SegmentStarted
from harness.study.event_log import EventLog
from harness.study.state import StudyState, best, fold


def main() -> None:
    home, name = sys.argv[1:]
    (file,) = Path(home).rglob(f"{name}/events.jsonl")
    log = EventLog(file)
    state = fold(log.records)
    print(json.dumps(tested(state, file.parent) | seconds(log.records)))
    log.close()


def tested(state: StudyState, folder: Path) -> dict[str, Any]:
    champion = best(state)
    trials = len(state.trials)
    if champion is None or champion.model is None:
        return {"trials": trials, "validation": None, "test": None, "params": None}
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    keras = import_keras()
    model = keras.saving.load_model(folder / champion.model.file)
    images, labels = load(state.started.dataset).test()
    probabilities = model.predict(images.astype(np.float32), verbose=0)
    return {
        "trials": trials,
        "validation": champion.score,
        "test": float((probabilities.argmax(axis=1) == labels).mean()),
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
