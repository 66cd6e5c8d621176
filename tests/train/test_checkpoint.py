"""Checkpoints come back whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import StudyError
from harness.train.checkpoint import load, save

WEIGHTS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.float32(1.5).reshape(())]
OPTIMIZER = [np.int64(7).reshape(()), np.ones(3, np.float32)]


def test_a_checkpoint_gives_back_every_array(tmp_path: Path) -> None:
    saved = save(tmp_path, tmp_path / "trials" / "0", 3, 1, WEIGHTS, OPTIMIZER)
    weights, optimizer = load(tmp_path, saved)
    assert saved.epoch == 3
    for mine, theirs in zip(weights + optimizer, WEIGHTS + OPTIMIZER, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def test_every_epoch_and_attempt_has_a_file_of_its_own_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "trial"
    saved = [save(tmp_path, folder, epoch, 1, WEIGHTS, OPTIMIZER) for epoch in (1, 2)]
    saved.append(save(tmp_path, folder, 2, 2, WEIGHTS, OPTIMIZER))
    assert sorted(tmp_path / checkpoint.file for checkpoint in saved) == sorted(folder.iterdir())
    for checkpoint in saved:
        load(tmp_path, checkpoint)


def test_damage_is_noticed(tmp_path: Path) -> None:
    saved = save(tmp_path, tmp_path / "trial", 1, 1, WEIGHTS, OPTIMIZER)
    file = tmp_path / saved.file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(StudyError, match="damaged"):
        load(tmp_path, saved)
    file.unlink()
    with pytest.raises(StudyError, match="missing"):
        load(tmp_path, saved)
