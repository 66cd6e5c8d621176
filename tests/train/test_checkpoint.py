"""Checkpoints come back whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import StudyError
from harness.study_files import StudyFiles, study_files
from harness.train.checkpoint import load, save
from tests.memory_files import MemoryFiles

WEIGHTS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.float32(1.5).reshape(())]
OPTIMIZER = [np.int64(7).reshape(()), np.ones(3, np.float32)]


@pytest.fixture(params=["local", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> StudyFiles:
    return study_files(tmp_path / "study") if request.param == "local" else MemoryFiles()


def test_a_checkpoint_gives_back_every_array(files: StudyFiles) -> None:
    saved = save(files, 0, 3, 1, WEIGHTS, OPTIMIZER)
    weights, optimizer = load(files, saved)
    assert saved.epoch == 3
    for mine, theirs in zip(weights + optimizer, WEIGHTS + OPTIMIZER, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def test_every_epoch_and_attempt_has_a_file_of_its_own_and_nothing_else_is_left(files: StudyFiles) -> None:
    saved = [save(files, 7, epoch, 1, WEIGHTS, OPTIMIZER) for epoch in (1, 2)]
    saved.append(save(files, 7, 2, 2, WEIGHTS, OPTIMIZER))
    assert sorted(checkpoint.file for checkpoint in saved) == files.names("trials/00007", "*")
    for checkpoint in saved:
        load(files, checkpoint)


def test_damage_is_noticed(files: StudyFiles) -> None:
    saved = save(files, 0, 1, 1, WEIGHTS, OPTIMIZER)
    content = bytearray(files.read(saved.file))
    content[len(content) // 2] ^= 1
    files.write(saved.file, lambda local: local.write_bytes(content))
    with pytest.raises(StudyError, match="damaged"):
        load(files, saved)
    files.remove(saved.file)
    with pytest.raises(StudyError, match="missing"):
        load(files, saved)
