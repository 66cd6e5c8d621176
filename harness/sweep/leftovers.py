"""What a study may leave behind: superseded checkpoints, unfinished files, orphaned processes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path

import psutil

from harness.engine.local import WORKER_MODULE
from harness.paths import StudyPaths
from harness.sweep.history import History


def remove_checkpoints(study_folder: Path, trial: int, keep: Collection[str]) -> None:
    """Remove the trial's checkpoints except those in `keep`, paths relative to the study's folder."""
    for file in StudyPaths(study_folder).trial(trial).glob("checkpoint-*"):
        if str(file.relative_to(study_folder)) not in keep:
            with contextlib.suppress(OSError):  # a left-over file does no harm
                file.unlink()


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed had begun to write."""
    for leftover in folder.rglob(".tmp-*"):
        with contextlib.suppress(OSError):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def tidy_study(paths: StudyPaths, history: History) -> None:
    """Remove what workers that were killed left behind; call it under the lock, before any worker runs."""
    remove_unfinished(paths.folder)
    for trial in history.trials.values():
        ended = trial.ended is not None
        kept = () if ended else [checkpoint.file for checkpoint in trial.checkpoints]
        remove_checkpoints(paths.folder, trial.number, kept)


def workers_of(paths: StudyPaths) -> list[int]:
    """Process ids of this machine's workers of a study, whoever started them."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or []
        if WORKER_MODULE in arguments and f"--study={paths.folder}" in arguments:
            found.append(process.pid)
    return found
