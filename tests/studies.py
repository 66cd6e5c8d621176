"""Studies that tests make up: an experiment, a data set that nobody reads, and how a study begins."""

from __future__ import annotations

from typing import Any

from harness.experiment.experiment import Experiment
from harness.experiment.load import dump, restore
from harness.records import Dataset, StudyStarted

DATASET = Dataset(
    name="drawn",
    folder="nowhere",
    split="split.npz",
    digest="0" * 64,
    classes=("a", "b"),
    image_shape=(8, 8, 1),
    counts={"train": 10, "validation": 5, "test": 5},
    class_counts={"a": 5, "b": 5},
)
SPACE = {
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "optimizer": ["sgd", "adam"],
    "learning_rate": "auto",
}


def experiment(**sections: Any) -> Experiment:
    """An experiment that searches `SPACE` for accuracy, with these sections of its own."""
    return restore({"name": "e", "space": SPACE} | sections)


def objective(metric: str, direction: str) -> list[dict[str, str]]:
    """The section `objectives` with one of them."""
    return [{"metric": metric, "direction": direction}]


def study_started(searched: Experiment | None = None, **changes: Any) -> StudyStarted:
    """A study's first event, by default of the experiment above."""
    searched = searched or experiment()
    values: dict[str, Any] = {
        "study": "s", "study_id": "id", "session": 1, "experiment": dump(searched), "dataset": DATASET,
        "seed": 0, "trials": searched.search.trials, "versions": {}, "host": {}, "git_commit": None,
        "time": 0,
    }  # fmt: skip
    return StudyStarted(**(values | changes))
