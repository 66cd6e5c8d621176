"""What the end of a sweep means for whoever has started it: an error, a command to go on with, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import HarnessError, SweepFailedError, UnreachableError
from harness.study.going_on import command_to_go_on
from harness.sweeping.plan import SweepResult

REASONS_SHOWN = 3
"""Different reasons why trials have failed that one sentence names."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a sweep's end is to be told."""

    error: HarnessError | None = None
    """What to raise: the sweep has failed, or a tracker is behind although the sweep has not."""
    notes: tuple[str, ...] = ()
    """Sentences that are to be told besides."""
    interrupted: bool = False
    """Whether the sweep was ended from outside, and can be resumed."""


def verdict(result: SweepResult) -> Verdict:
    """Judge the end of a sweep.

    Args:
        result: of `harness.sweeping.session.run_sweep`.

    Returns:
        The verdict; its error is a SweepFailedError if no trial was successful, and an UnreachableError if a
        tracker could not be brought up to date.
    """
    name = result.state.name
    behind = f"{' '.join(result.behind)} Finish it with: harness sync {name}" if result.behind else ""
    if result.at_fault:
        return Verdict(SweepFailedError(result.ended.reason), (behind,) if behind else ())
    notes: tuple[str, ...] = ()
    if not result.ended.complete:
        notes = (f"Go on with: {command_to_go_on(result.state, result.limit)}",)
        if result.ended.reason in ("interrupted", "terminated"):
            return Verdict(notes=notes, interrupted=True)
    elif not any(trial.state == "complete" for trial in result.state.trials.values()):
        return Verdict(_nothing_succeeded(result))
    return Verdict(UnreachableError(behind) if behind else None, notes)


def _nothing_succeeded(result: SweepResult) -> SweepFailedError:
    state = result.state
    reasons = sorted({trial.reason for trial in state.trials.values() if trial.reason})
    what, how = ("The trial", "failed") if state.started.trials == 1 else ("No trial", "succeeded")
    why = "; ".join(reason.rstrip(".") for reason in reasons[:REASONS_SHOWN])
    return SweepFailedError(f"{what} of {state.name} {how}: {why}.")
