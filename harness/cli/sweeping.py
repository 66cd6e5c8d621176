"""Run a sweep with a display, and say how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import typer

if TYPE_CHECKING:
    from harness.experiment.schema import Experiment
    from harness.sweep.run import SweepResult

INTERRUPTED = 130


def run_and_report(
    experiment: Experiment,
    *,
    study: str | None,
    workers: int | Literal["auto"] | None,
    resume: bool = False,
    evaluate_test: bool = False,
    recheck: bool = False,
) -> SweepResult:
    """Run, print the summary to stderr, and exit with the code that the outcome has.

    Raises:
        SweepFailedError: no trial succeeded.
        UnreachableError: a view could not be brought up to date.
        typer.Exit: the sweep was interrupted.
    """
    from harness.cli.display import open_display
    from harness.errors import SweepFailedError, UnreachableError
    from harness.sweep.history import best
    from harness.sweep.run import run_sweep

    with open_display() as display:
        result = run_sweep(
            experiment,
            display,
            study=study,
            resume=resume,
            workers=workers,
            evaluate_test=evaluate_test,
            recheck=recheck,
        )
    started = result.history.study
    assert started is not None
    display.ended(result)
    missing = (
        f"{' '.join(result.behind)} Finish it with: harness sync {started.study}" if result.behind else ""
    )
    if missing and result.at_fault:
        display.note(missing)
    if result.at_fault:
        raise SweepFailedError(result.ended.reason)
    if not result.ended.complete:
        again = f"Go on with: harness resume {started.study}"
        display.note(again)
        if result.ended.reason in ("interrupted", "terminated"):
            raise typer.Exit(INTERRUPTED)
    elif best(result.history) is None and not evaluate_test:
        reasons = {trial.reason for trial in result.history.trials.values() if trial.reason}
        raise SweepFailedError(
            f"No trial of {started.study} succeeded. The trials ended with: {'; '.join(sorted(reasons)[:3])}."
        )
    if missing:
        raise UnreachableError(missing)
    return result
