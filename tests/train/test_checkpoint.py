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
    saved = save(tmp_path, tmp_path / "trials" / "0", 3, WEIGHTS, OPTIMIZER)
    weights, optimizer = load(tmp_path, saved)
    assert saved.epoch == 3
    for mine, theirs in zip(weights + optimizer, WEIGHTS + OPTIMIZER, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def test_two_slots_alternate_and_leave_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "trial"
    saved = [save(tmp_path, folder, epoch, WEIGHTS, OPTIMIZER) for epoch in (1, 2, 3, 4)]
    assert len({checkpoint.file for checkpoint in saved}) == 2
    assert len(list(folder.iterdir())) == 2
    load(tmp_path, saved[-1])
    load(tmp_path, saved[-2])


def test_damage_is_noticed(tmp_path: Path) -> None:
    saved = save(tmp_path, tmp_path / "trial", 1, WEIGHTS, OPTIMIZER)
    file = tmp_path / saved.file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(StudyError, match="damaged"):
        load(tmp_path, saved)
    file.unlink()
    with pytest.raises(StudyError, match="missing"):
        load(tmp_path, saved)
