"""What a study takes from earlier ones when it begins."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.records.basic import Params


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierTrial:
    """A trial of another study, as a sampler knows it."""

    sampled: Params
    """What the sampler chose, by its parameter names."""
    scores: dict[int, float]
    """The first objective by epoch."""
    values: list[float] | None
    """All objectives, of a complete trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """What was learned, whatever becomes of the studies that it is from."""

    studies: list[str]
    """Their names."""
    trials: list[EarlierTrial] = field(default_factory=list)
    """Trials that the sampler is to know as if they were the study's own."""
    priors: dict[str, dict[str, float]] = field(default_factory=dict)
    """What is probably good, by the sampler's parameter names, as a space has it after `prior`."""
    starts: list[Params] = field(default_factory=list)
    """Configurations to begin with."""
