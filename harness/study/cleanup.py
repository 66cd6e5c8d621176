"""What a study may leave behind: superseded checkpoints, unfinished files, orphaned processes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path

from harness.paths import StudyPaths
from harness.paths.study import CHECKPOINTS, ENSEMBLES, ensemble_folder, trial_folder
from harness.study.state import StudyState
from harness.study_files import study_files


def remove_checkpoints(study_folder: Path, trial: int, keep: Collection[str]) -> None:
    """Remove the trial's checkpoints except those in `keep`, names within the study."""
    files = study_files(study_folder)
    for name in files.names(trial_folder(trial), CHECKPOINTS):
        if name not in keep:
            with contextlib.suppress(OSError):  # a left-over file does no harm
                files.remove(name)


def remove_unfinished(study_folder: Path, trial: int) -> None:
    """Remove what processes that were killed had begun to write of a trial."""
    study_files(study_folder).remove_unfinished(trial_folder(trial))


def unrecorded_ensembles(paths: StudyPaths, state: StudyState) -> list[Path]:
    """Folders of ensembles that were being written when their writer was killed, sorted."""
    known = {paths.folder / ensemble_folder(one.number) for one in state.ensembles}
    return sorted(set((paths.folder / ENSEMBLES).glob("*")) - known)


def remove_unrecorded_ensembles(paths: StudyPaths, state: StudyState) -> None:
    """Remove them; call it under the lock."""
    for folder in unrecorded_ensembles(paths, state):
        shutil.rmtree(folder, ignore_errors=True)


def tidy_study(paths: StudyPaths, state: StudyState) -> None:
    """Remove what workers that were killed left behind; call it under the lock, before any worker runs."""
    study_files(paths.folder).remove_unfinished("")
    remove_unrecorded_ensembles(paths, state)
    for trial in state.trials.values():
        ended = trial.has_ended
        kept = () if ended else [checkpoint.file for checkpoint in trial.checkpoints]
        remove_checkpoints(paths.folder, trial.number, kept)


def remove_if_empty(paths: StudyPaths) -> None:
    """Remove the folder of a study that never began; call it under the lock."""
    if paths.log.exists() or not paths.folder.exists():
        return
    for entry in sorted(paths.folder.rglob("*"), reverse=True):
        if entry.is_dir():
            entry.rmdir()
        else:
            entry.unlink()
    paths.folder.rmdir()
