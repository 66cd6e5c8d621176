"""What a trial is now, as the event log tells it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from harness.records import Checkpoint, Evaluation, FailureKind, ModelSaved, Params

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
    worker: int | None = None
    epochs: dict[int, dict[str, float]] = field(default_factory=dict)
    """Metrics by 1-based epoch; of a repeated epoch the first record counts."""
    training_complete: bool = False
    """Its training has ended, although its end may not have been written yet."""
    checkpoints: list[Checkpoint] = field(default_factory=list)
    """The last two that are not known to be damaged, the older one first."""
    microbatches: int = 1
    """2 after memory ran out."""
    space_version: int = 1
    """Which of the study's spaces it comes from."""
    measured: dict[str, float] = field(default_factory=dict)
    """`parameters`, `latency_ms`."""
    values: list[float] | None = None
    """All objectives, once the trial has ended."""
    model: ModelSaved | None = None
    evaluations: list[Evaluation] = field(default_factory=list)
    seconds: float = 0.0
    """Wall time of its finished segments."""
    ended_ms: int | None = None
    """Milliseconds since 1970; None while it has not ended."""
    score: float | None = None
    """The objective at the last epoch; None without a finite one."""
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
    def last_metrics(self) -> dict[str, float]:
        """Metrics after the last epoch, and what was measured of the network."""
        return self.metrics_after(self.last_epoch)

    def metrics_after(self, epoch: int) -> dict[str, float]:
        """Metrics after an epoch, as far as they are known, and what was measured of the network."""
        return self.epochs.get(epoch, {}) | self.measured

    def scores(self, metric: str, until: int) -> dict[int, float]:
        """A metric by epoch, up to the epoch `until`, where it is finite."""
        known = ((epoch, found.get(metric, math.nan)) for epoch, found in self.epochs.items())
        return {epoch: value for epoch, value in known if epoch <= until and math.isfinite(value)}

    @property
    def epoch_seconds(self) -> float | None:
        """What an epoch takes, without what was compiled in the first one; None before one has ended."""
        known = [found["epoch_seconds"] for found in self.epochs.values() if "epoch_seconds" in found]
        return min(known, default=None)
