"""A worker in this process that runs segments of one trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.records import (
    Checkpoint,
    CheckpointSaved,
    Dataset,
    EpochEnded,
    ModelSaved,
    Params,
    Segment,
    SegmentEnded,
    WorkerEvent,
)
from harness.train.segment import run_segment
from harness.train.worker_cache import WorkerCache


class Worker:
    """Runs segments of one trial, and can be stopped at a pulse."""

    def __init__(self, dataset: Dataset, folder: Path, params: Params, epochs: int) -> None:
        self.dataset, self.folder = dataset, folder
        self.params, self.epochs = params, epochs
        self.cache = WorkerCache()
        self.told: list[WorkerEvent] = []

    def run(
        self, stop_when: Callable[[WorkerEvent], bool] = lambda _: False, **changes: object
    ) -> SegmentEnded:
        """Run a segment until something is told on which it is to stop."""
        stopped: list[bool] = []

        def observe(event: WorkerEvent) -> None:
            self.told.append(event)
            if stop_when(event):
                stopped.append(True)

        values: dict[str, object] = {
            "study_folder": str(self.folder), "trial": 0, "attempt": 1, "params": self.params, "seed": 5,
            "start": 0, "stop": self.epochs, "max_epochs": self.epochs, "dataset": self.dataset,
        }  # fmt: skip
        segment = Segment(**values | changes)  # type: ignore[arg-type]
        run_segment(segment, self.cache, observe, lambda: bool(stopped)).result()
        ended = self.told[-1]
        assert isinstance(ended, SegmentEnded)
        return ended

    def of_kind(self, kind: type) -> list[WorkerEvent]:
        return [event for event in self.told if isinstance(event, kind)]

    @property
    def latest(self) -> Checkpoint | None:
        saved = [event.checkpoint for event in self.told if isinstance(event, CheckpointSaved)]
        return saved[-1] if saved else None

    def numbers(self) -> list[tuple[int, float, float, float]]:
        return [
            (one.epoch, one.metrics["loss"], one.metrics["accuracy"], one.metrics["val_loss"])
            for one in self.told
            if isinstance(one, EpochEnded)
        ]

    def weights(self) -> bytes:
        (saved,) = [event for event in self.told if isinstance(event, ModelSaved)]
        return (self.folder / saved.file).with_name("reference.npz").read_bytes()
