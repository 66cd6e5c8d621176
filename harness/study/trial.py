"""What a trial is now, as the event log tells it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from harness.experiment.folds import ONE_TRAINING, Folds
from harness.records import Annealing, Checkpoint, Evaluation, FailureKind, ModelSaved, Params
from harness.study.fold_evaluations import together

MICROBATCHES = 2
"""Parts of a batch when a configuration is tried again after memory ran out."""
State = Literal["waiting", "running", "paused", "complete", "pruned", "failed"]


@dataclass(slots=True)
class Trial:
    """One trial so far."""

    number: int
    params: Params
    sampled: Params
    seed: int
    started_ms: int
    """Milliseconds since 1970."""
    state: State = "waiting"
    """`waiting`: no segment has started. `paused`: its last segment has ended, but not the trial."""
    attempts: int = 0
    """Segments that were started, tries of the same segment included."""
    target: int = 0
    """The epoch at which the segment started last is to end."""
    reached: int = 0
    """The epoch at which the last whole segment ended."""
    annealing: Annealing | None = None
    """How it is trained to its end early, once that has begun."""
    worker: int | None = None
    epochs: dict[int, dict[str, float]] = field(default_factory=dict)
    """Metrics by 1-based epoch; of a repeated epoch the first record counts."""
    training_complete: bool = False
    """Its training has ended, although its end may not have been written yet."""
    checkpoints: list[Checkpoint] = field(default_factory=list)
    """The last two that are not known to be damaged, the older one first."""
    microbatches: int = 1
    """2 after memory ran out."""
    folds: Folds = ONE_TRAINING
    """How its epochs are divided among its trainings."""
    space_version: int = 1
    """Which of the study's spaces it comes from."""
    measured: dict[str, float] = field(default_factory=dict)
    """`parameters`, `latency_ms`."""
    values: list[float] | None = None
    """All objectives, once the trial has ended."""
    model: ModelSaved | None = None
    evaluations: list[Evaluation] = field(default_factory=list)
    """Of its model."""
    fold_evaluations: dict[int, Evaluation] = field(default_factory=dict)
    """Of the models of its folds, each on the fold's validation images."""
    fold_predictions: dict[int, tuple[str, str]] = field(default_factory=dict)
    """By fold, the file with what its model predicted for these images, relative to the study's folder, and
    its SHA-256."""
    seconds: float = 0.0
    """Wall time of its finished segments."""
    ended_ms: int | None = None
    """Milliseconds since 1970; None while it has not ended."""
    score: float | None = None
    """The objective at the last epoch, or its mean over the folds that have ended; None without a finite
    one."""
    standard_error: float | None = None
    """Of `score`, where it is a mean over folds."""
    reason: str = ""
    failure: FailureKind | None = None
    traceback: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether its one terminal state has been written."""
        return self.ended_ms is not None

    @property
    def last_epoch(self) -> int:
        """The last epoch with metrics; 0 before the first one."""
        return max(list(self.epochs), default=0)  # a display may look while the sweep adds to it

    @property
    def all_folds(self) -> bool:
        """Whether all of its folds have ended; there are some."""
        return 0 < self.folds.number == self.folds.finished(self.reached)

    @property
    def shown_evaluations(self) -> list[Evaluation]:
        """Those of its folds, brought together, and those of its model."""
        folds = [self.fold_evaluations[fold] for fold in sorted(self.fold_evaluations)]
        return [*([together(folds)] if folds else []), *self.evaluations]

    @property
    def last_metrics(self) -> dict[str, float]:
        """Metrics after the last epoch, and what was measured of the network."""
        return self.metrics_after(max(self.last_epoch, self.reached))

    def metrics_after(self, epoch: int) -> dict[str, float]:
        """Metrics after an epoch, as far as they are known, and what was measured of the network.

        With folds these are means over those that had ended by then.
        """
        return self._known_after(epoch) | self.measured

    @property
    def final_metrics(self) -> dict[str, float]:
        """Metrics after the last epoch, with folds their means."""
        return self._known_after(max(self.last_epoch, self.reached))

    def _known_after(self, epoch: int) -> dict[str, float]:
        if not self.folds.parts:
            return self.epochs.get(epoch, {})
        ended = [self.epochs[last] for last in self._fold_ends(epoch)]
        names = dict.fromkeys(name for metrics in ended for name in metrics)
        return {name: fmean(metrics.get(name, math.nan) for metrics in ended) for name in names}

    def fold_scores(self, metric: str, until: int) -> list[float]:
        """A metric at the end of each fold that had ended when the trial had reached an epoch."""
        return [self.epochs[last].get(metric, math.nan) for last in self._fold_ends(until)]

    def _fold_ends(self, until: int) -> list[int]:
        """The last epoch that was trained of each fold that had ended when the trial had reached an epoch."""
        return self.folds.last_epochs(self.epochs, self.folds.finished(until))

    def scores(self, metric: str, until: int) -> dict[int, float]:
        """A metric by epoch, up to the epoch `until`, where it is finite; with folds, at their ends."""
        if self.folds.parts:
            ends = [self.folds.ends(fold) for fold in range(self.folds.finished(until))]
            known = ((epoch, self._known_after(epoch).get(metric, math.nan)) for epoch in ends)
        else:
            known = ((epoch, found.get(metric, math.nan)) for epoch, found in self.epochs.items())
        return {epoch: value for epoch, value in known if epoch <= until and math.isfinite(value)}

    @property
    def epoch_seconds(self) -> float | None:
        """What an epoch takes, without what was compiled in the first one; None before one has ended."""
        known = [found["epoch_seconds"] for found in self.epochs.values() if "epoch_seconds" in found]
        return min(known, default=None)

    @property
    def usual_epoch_seconds(self) -> float | None:
        """What an epoch takes in the mean, with all that comes in between; None before one has ended.

        The longest one, which mostly has compiled, is left out where there are others.
        """
        known = sorted(found["epoch_seconds"] for found in self.epochs.values() if "epoch_seconds" in found)
        return fmean(known[:-1] or known) if known else None
