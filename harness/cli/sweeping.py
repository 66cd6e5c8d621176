"""Run a sweep with a display, and say how it ended."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Literal

import typer

from harness.cli import printable

if TYPE_CHECKING:
    from harness.engine.kind import EngineChoice
    from harness.experiment.experiment import Experiment
    from harness.sweeping.plan import SweepResult

INTERRUPTED = 130
"""The exit code of a sweep that was ended from outside, as shells report SIGINT."""


def say(sentence: str) -> None:
    """Print a sentence on standard error, before there is a display."""
    print(printable(sentence), file=sys.stderr)


def run_and_report(
    experiment: Experiment,
    *,
    study: str | None,
    workers: int | Literal["auto"] | None,
    resume: bool = False,
    recheck: bool = False,
    chosen: EngineChoice,
) -> SweepResult:
    """Run, print the summary to stderr, and exit with the code that the outcome has.

    Raises:
        SweepFailedError: no trial succeeded.
        UnreachableError: a tracker could not be brought up to date.
        typer.Exit: the sweep was interrupted, and can be resumed.
    """
    from harness.cli.display import open_display
    from harness.cli.signals import stopped_by_signals
    from harness.machine import process_seconds
    from harness.sweeping.plan import Stop
    from harness.sweeping.session import run_sweep
    from harness.sweeping.verdict import verdict

    began = time.monotonic() - process_seconds()
    stop = Stop()
    with open_display() as display, stopped_by_signals(stop):
        for sentence in (*experiment.advice, *experiment.search_advice):
            display.note(sentence)
        result = run_sweep(
            experiment,
            display,
            study=study,
            resume=resume,
            workers=workers,
            recheck=recheck,
            stop=stop,
            began=began,
            chosen=chosen,
        )
    display.ended(result)
    for sentence in _worth(result):
        display.note(sentence)
    found = verdict(result)
    for sentence in found.notes:
        display.note(sentence)
    if found.error is not None:
        raise found.error
    if found.interrupted:
        raise typer.Exit(INTERRUPTED)
    return result


def _worth(result: SweepResult) -> list[str]:
    """What the best score is worth, as far as it is known."""
    from harness.analysis.noise import noise_of
    from harness.analysis.noise_text import noise_sentences
    from harness.paths import StudyPaths

    return noise_sentences(noise_of(StudyPaths.of(result.state.name).folder, result.state))
