"""What a study may leave behind is removed, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.paths import StudyPaths
from harness.records import Checkpoint
from harness.study.cleanup import remove_checkpoints, remove_if_empty, tidy_study
from harness.study.state import StudyState
from harness.study.trial import Trial


@pytest.fixture
def paths() -> StudyPaths:
    found = StudyPaths.of("s")
    found.folder.mkdir(parents=True)
    return found


def file_of(paths: StudyPaths, trial: int, name: str) -> Path:
    file = paths.trial(trial) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"content")
    return file


def left(paths: StudyPaths) -> set[str]:
    return {str(file.relative_to(paths.folder)) for file in paths.folder.rglob("*") if file.is_file()}


def test_a_trials_checkpoints_are_removed_except_those_that_are_kept(paths: StudyPaths) -> None:
    kept = file_of(paths, 1, "checkpoint-00002-1.ckpt").relative_to(paths.folder)
    file_of(paths, 1, "checkpoint-00001-1.ckpt")
    model = file_of(paths, 1, "model.keras").relative_to(paths.folder)
    other = file_of(paths, 2, "checkpoint-00001-1.ckpt").relative_to(paths.folder)
    remove_checkpoints(paths.folder, 1, keep=[str(kept)])
    assert left(paths) == {str(kept), str(model), str(other)}
    remove_checkpoints(paths.folder, 1, keep=())
    assert left(paths) == {str(model), str(other)}
    remove_checkpoints(paths.folder, 7, keep=())  # there is no such trial


def test_tidying_keeps_what_the_log_knows_of(paths: StudyPaths) -> None:
    ended = Trial(0, {}, {}, 0, 0, state="complete", ended_ms=1)
    file_of(paths, 0, "checkpoint-00001-1.ckpt")
    model = file_of(paths, 0, "model.keras")
    known = [file_of(paths, 1, f"checkpoint-0000{epoch}-1.ckpt") for epoch in (2, 3)]
    file_of(paths, 1, "checkpoint-00004-1.ckpt")  # it was not in the log yet when its worker died
    checkpoints = [Checkpoint(file=str(file.relative_to(paths.folder)), sha256="", epoch=2) for file in known]
    paused = Trial(1, {}, {}, 0, 0, state="paused", checkpoints=checkpoints)
    file_of(paths, 1, ".tmp-model.keras")
    (paths.trial(2) / ".tmp-folder").mkdir(parents=True)
    (paths.trial(2) / ".tmp-folder" / "half").write_bytes(b"")
    paths.log.write_text("")
    tidy_study(paths, StudyState(trials={0: ended, 1: paused}))
    assert left(paths) == {
        str(file.relative_to(paths.folder)) for file in (model, *known, paths.log)
    }  # fmt: skip
    assert not (paths.trial(2) / ".tmp-folder").exists()


def test_the_folder_of_a_study_that_never_began_goes_and_that_of_another_stays(paths: StudyPaths) -> None:
    file_of(paths, 0, "something")
    remove_if_empty(paths)
    assert not paths.folder.exists()
    remove_if_empty(paths)
    paths.folder.mkdir()
    paths.log.write_text("")
    file_of(paths, 0, "something")
    before = left(paths)
    remove_if_empty(paths)
    assert left(paths) == before
