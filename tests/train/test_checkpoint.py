"""Checkpoints come back whole or not at all, by name, in every process; those of before are still read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from harness.errors import StudyError
from harness.experiment.parameters import OPTIMIZERS, complete
from harness.model.families import FAMILIES
from harness.model.preprocessing import PixelStatistics
from harness.paths.study import checkpoint_name
from harness.records import Checkpoint
from harness.study_files import StudyFiles, study_files
from harness.train.checkpoint import load, save
from harness.train.program import Program
from harness.train.state import State, UnfitError, weight_names
from tests.memory_files import MemoryFiles

STATE = {
    "weights/dense/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "weights/dense/bias": np.float32(1.5).reshape(()),
    "optimizer/iteration": np.int64(7).reshape(()),
    "optimizer/momentum/dense/kernel": np.ones(3, np.float32),
}


@pytest.fixture(params=["local", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> StudyFiles:
    return study_files(tmp_path / "study") if request.param == "local" else MemoryFiles()


def same(found: State, expected: State) -> None:
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def save_without_names(files: StudyFiles, state: State) -> Checkpoint:
    """Format 1, as versions before 0.4.0 wrote it."""
    arrays = [np.asarray(array, order="C") for array in state.values()]
    header = {"epoch": 1, "weights": 2, "arrays": [[one.dtype.str, one.shape] for one in arrays]}
    parts = [b"harness checkpoint 1\n", json.dumps(header).encode(), b"\n", *(one.data for one in arrays)]
    content, name = b"".join(parts), checkpoint_name(0, 1, 1)
    files.write(name, lambda local: local.write_bytes(content))
    return Checkpoint(file=name, sha256=hashlib.sha256(content).hexdigest(), epoch=1)


def test_a_checkpoint_gives_back_every_array_by_its_name(files: StudyFiles) -> None:
    saved = save(files, 0, 3, 1, STATE)
    assert saved.epoch == 3
    same(load(files, saved, []), STATE)


def test_a_checkpoint_without_names_is_read_in_the_order_of_the_names_that_are_expected(
    files: StudyFiles,
) -> None:
    saved = save_without_names(files, STATE)
    same(load(files, saved, list(STATE)), STATE)
    with pytest.raises(StudyError, match="it has 4 arrays and no names, and the network 3"):
        load(files, saved, list(STATE)[1:])


def test_every_epoch_and_attempt_has_a_file_of_its_own_and_nothing_else_is_left(files: StudyFiles) -> None:
    saved = [save(files, 7, epoch, 1, STATE) for epoch in (1, 2)]
    saved.append(save(files, 7, 2, 2, STATE))
    assert sorted(checkpoint.file for checkpoint in saved) == files.names("trials/00007", "*")
    for checkpoint in saved:
        load(files, checkpoint, [])


def test_damage_is_noticed(files: StudyFiles) -> None:
    saved = save(files, 0, 1, 1, STATE)
    content = bytearray(files.read(saved.file))
    content[len(content) // 2] ^= 1
    files.write(saved.file, lambda local: local.write_bytes(content))
    with pytest.raises(StudyError, match="damaged"):
        load(files, saved, [])
    files.remove(saved.file)
    with pytest.raises(StudyError, match="missing"):
        load(files, saved, [])


def program(**changes: Any) -> Program:
    chosen = complete({"family": "cnn", "depth": 2, "width": 4, "ema": 0.9, **changes})
    return Program(chosen, (8, 8, 1), 3, PixelStatistics((70.0,), (90.0,)))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_names_are_the_same_in_whatever_order_networks_are_built(optimizer: str) -> None:
    first = program(optimizer=optimizer)
    keras.Sequential([keras.layers.Dense(2), keras.layers.Conv2D(2, 1)])  # Keras numbers layers on
    again = program(optimizer=optimizer)
    assert first.names == again.names == list(dict.fromkeys(first.names))
    kernels = [name.split("/", 1)[1] for name in first.names if name.startswith("weights/")]
    slots = [name for name in first.names if name.startswith("optimizer/")]
    assert sum(name.startswith("averages/") for name in first.names) == len(first.network.trainable_variables)
    of_weights = [name for name in slots if name.count("/") > 1]
    assert all(name.split("/", 2)[2] in kernels for name in of_weights)
    assert len(slots) - len(of_weights) == 2  # its steps and its rate


@pytest.mark.parametrize("family", [name for name, one in FAMILIES.items() if one.body is None])
def test_no_two_weights_of_a_family_share_a_name(family: str) -> None:
    network = program(family=family, stages=2).network
    names = weight_names(network)
    assert len(set(names)) == len(names) == len(network.weights)


def test_layers_of_the_same_name_inside_of_models_are_told_apart() -> None:
    parts = [keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="dense_7")]) for _ in "ab"]
    network = keras.Sequential([keras.Input((4,)), *parts])
    assert weight_names(network) == ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]


def test_a_state_that_does_not_fit_is_told_as_such_and_changes_nothing() -> None:
    own = program()
    own.reset(1, 0.0)
    state = own.state()
    name = next(iter(state))
    for unfit, sentence in (
        ({key: value for key, value in state.items() if key != name}, f"{name} is missing"),
        (state | {"weights/other/kernel": state[name]}, "weights/other/kernel is none of its variables"),
        (state | {name: np.zeros((1, 2), np.float32)}, rf"{name} is \(1, 2\), not"),
    ):
        with pytest.raises(UnfitError, match=sentence):
            own.restore({key: np.zeros_like(value) if key != name else value for key, value in unfit.items()})
        same(own.state(), state)
