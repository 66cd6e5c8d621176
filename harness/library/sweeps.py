"""Sweeps for notebooks and scripts."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Literal

from harness.engine.kind import EngineChoice
from harness.errors import StudyError, UnreachableError
from harness.experiment.experiment import Experiment
from harness.library.progress import Display, Progress, open_display
from harness.library.studies import Study
from harness.paths import StudyPaths
from harness.proposal.chosen import as_kept
from harness.sweeping.engines import engine_choice
from harness.sweeping.plan import Stop, SweepResult
from harness.sweeping.session import run_sweep
from harness.sweeping.verdict import verdict

LOOK_SECONDS = 0.2
"""How often the caller's thread looks at the sweep."""


def sweep(
    experiment: Experiment,
    *,
    name: str | None = None,
    workers: int | Literal["auto"] | None = None,
    engine: str = "local",
    ray_address: str | None = None,
    recheck: bool = False,
    stop: threading.Event | None = None,
) -> Study:
    """Run a study to its total of trials and return it; a study that exists goes on where it was.

    In a notebook a bar shows how far it is. Elsewhere nothing is printed; what the command line would say
    goes to the logger `harness`, at the level INFO.

    The call returns when the sweep has ended. Until then it keeps the calling thread, which may be any one;
    in asyncio, `await asyncio.to_thread(harness.sweep, experiment)` leaves the event loop free. No signal
    handler is set. A KeyboardInterrupt in the calling thread (ctrl-C in a script, "interrupt" in a notebook)
    does what the first ctrl-C does at the command line: the sweep stops within the running epochs, then the
    KeyboardInterrupt goes on to the caller, and the same call with the study's name later goes on with the
    study, and trains those epochs again. A second one waits for nothing. The sweep itself runs in a thread of
    its own, so that no interrupt ever tears it apart in the middle of a step.

    Args:
        experiment: of `harness.load`. One that was written for data is kept with the study, which goes on
            with the one that it began with, whatever would be decided by now; what `harness.load` was given
            beside the data still holds.
        name: the study's; None for a new one.
        workers: processes that train, never more than trials; "auto" to measure how many are best; None for
            what the experiment says, and if it says nothing, for one per GPU or core.
        engine: what runs them: "local" for processes on this machine, "ray" for a Ray cluster, which needs
            harness[ray].
        ray_address: of the cluster: "auto", "HOST:PORT" or "ray://HOST:PORT"; None for a Ray on this machine
            that ends with the call.
        recheck: read all files of the data set again, instead of trusting their sizes and times.
        stop: set it from another thread to end the sweep early, as by a ctrl-C; the study is returned as it
            is then.

    Returns:
        The study, with the trials of earlier sessions.

    Raises:
        HarnessError: the sweep could not run, or no trial was successful.
        KeyboardInterrupt: it was interrupted, and has come to rest.
    """
    chosen = engine_choice(engine, ray_address)
    if name is not None:
        experiment = as_kept(experiment, name)
    result = run(experiment, name, workers, stop, chosen=chosen, recheck=recheck)
    return Study(StudyPaths.of(result.state.name), result.state)


def run(
    experiment: Experiment,
    name: str | None,
    workers: int | Literal["auto"] | None,
    stop: threading.Event | None,
    *,
    chosen: EngineChoice,
    recheck: bool,
) -> SweepResult:
    """Run a sweep in a thread of its own, while the caller's thread shows how far it is; as of `sweep`."""
    progress, request = Progress(), Stop()
    with ThreadPoolExecutor(1, thread_name_prefix="harness-sweep") as thread:
        running = thread.submit(
            run_sweep,
            experiment,
            progress,
            study=name,
            workers=workers,
            recheck=recheck,
            stop=request,
            chosen=chosen,
        )
        interrupted = _wait(running, request, progress, stop or threading.Event())
    try:
        result = running.result()
    except KeyboardInterrupt:
        if interrupted:
            raise
        raise StudyError("The sweep was stopped before any trial had begun.") from None
    _tell(result, progress)
    if interrupted:
        raise KeyboardInterrupt
    return result


def _wait(running: Future[SweepResult], request: Stop, progress: Progress, stop: threading.Event) -> bool:
    """Wait for the sweep, whatever happens meanwhile; whether there was a KeyboardInterrupt."""
    interrupted = False
    display: Display | None = None
    while not running.done():
        try:
            if stop.is_set():
                request.reason = request.reason or "interrupted"
            display = display or open_display(progress)
            wait([running], LOOK_SECONDS)
            display.update(progress)
        except KeyboardInterrupt:
            request.immediately = interrupted
            request.reason = request.reason or "interrupted"
            interrupted = True
        except BaseException:
            request.reason = request.reason or "interrupted"
            raise
    return interrupted


def _tell(result: SweepResult, progress: Progress) -> None:
    """Raise what the end of a sweep means; that a tracker is behind is a warning: the study is whole."""
    found = verdict(result)
    for sentence in found.notes:
        progress.note(sentence)
    if isinstance(found.error, UnreachableError):
        warnings.warn(str(found.error), stacklevel=4)
    elif found.error is not None:
        raise found.error
