"""Features beside prepared data: whoever adds to them, in whatever order, all find the same."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.feature_store import BLOCK, FeatureStore
from harness.errors import DataError
from harness.paths.prepared import features_folder

WIDTH = 3


def features(rows: np.ndarray) -> np.ndarray:
    return (rows[:, None] * 10 + np.arange(WIDTH)).astype(np.float32)


def fill(store: FeatureStore, rows: np.ndarray) -> int:
    """Compute what is missing of these images; returns how many that were."""
    computed = 0
    for block, lacking in store.missing(rows):
        with store.claimed(block) as mine:
            assert mine
            store.add(block, lacking, features(lacking))
        computed += len(lacking)
    return computed


rows = st.lists(st.integers(0, 3 * BLOCK), max_size=8).map(lambda one: np.unique(np.array(one, np.int64)))


@settings(max_examples=20)
@given(parts=st.lists(rows, min_size=1, max_size=3))
def test_nothing_is_computed_twice_and_all_is_found_again(parts: list[np.ndarray]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        known: set[int] = set()
        for part in parts:
            # Another process each time: nothing is remembered.
            assert fill(FeatureStore(Path(folder), WIDTH), part) == len(set(part) - known)
            known |= set(part.tolist())
        every = np.array(sorted(known), np.int64)
        store = FeatureStore(Path(folder), WIDTH)
        np.testing.assert_array_equal(store.read(every), features(every))
        assert not list(store.missing(every))
        other = np.setdiff1d(np.arange(3 * BLOCK), every)
        assert sum(len(lacking) for _, lacking in store.missing(other)) == len(other)


def test_pools_views_and_networks_are_apart(tmp_path: Path) -> None:
    folders = {
        features_folder(tmp_path, key, pool, view)
        for key in ("one", "other")
        for pool in ("train", "test")
        for view in (0, 1)
    }
    assert len(folders) == 8


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_block_is_computed_again(tmp_path: Path, damage: str) -> None:
    some = np.arange(BLOCK + 5)
    fill(FeatureStore(tmp_path, WIDTH), some)
    file = min(tmp_path.glob("*.npy"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes({"flipped": bytes(content), "cut": bytes(content[:-9]), "empty": b""}[damage])
    store = FeatureStore(tmp_path, WIDTH)
    assert fill(store, some) == BLOCK
    np.testing.assert_array_equal(store.read(some), features(some))


def test_a_block_is_computed_by_one_at_a_time(tmp_path: Path) -> None:
    one, other = (FeatureStore(tmp_path, WIDTH) for _ in range(2))
    some = np.arange(5)
    assert len(list(other.missing(some))) == 1
    with one.claimed(0) as mine, other.claimed(0) as too:
        assert (mine, too) == (True, False)
        one.add(0, some, features(some))
    assert not list(other.missing(some)), "what another has added meanwhile is seen"
    with other.claimed(0) as mine:
        assert mine


def test_a_network_that_gives_no_numbers_is_an_error(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, WIDTH)
    with store.claimed(0), pytest.raises(DataError, match="not finite"):
        store.add(0, np.arange(1), np.array([[1.0, np.nan, 0.0]], np.float32))
    assert not list(tmp_path.glob("*.npy"))


def test_what_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "gone", WIDTH)
    with store.claimed(0):
        shutil.rmtree(tmp_path / "gone")
        with pytest.raises(DataError, match=r"Features cannot be written to .*: No such file"):
            store.add(0, np.arange(2), features(np.arange(2)))


FULL = """
import resource, sys
import numpy as np
from functools import partial
from pathlib import Path
from harness.data.feature_store import FeatureStore
from harness.paths import when_there_is_room
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
waited = []
def wait(error):
    waited.append(error)
    if len(waited) == 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
store = FeatureStore(Path(sys.argv[1]), 3, partial(when_there_is_room, wait=wait))
rows = np.arange(5)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, most))
with store.claimed(0):
    store.add(0, rows, np.ones((5, 3), np.float32))
assert len(waited) == 3
assert store.read(rows).sum() == 15
"""


def test_where_there_is_no_room_it_is_written_once_there_is(tmp_path: Path) -> None:
    """Files may not be longer than 100 bytes, until the third time that room is waited for."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.npy"))) == 1


MANY = """
import resource, sys
import numpy as np
from pathlib import Path
from harness.data.feature_store import BLOCK, FeatureStore
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
rows = np.arange(200 * BLOCK)
for _ in range(2):
    store = FeatureStore(Path(sys.argv[1]), 3)
    for block, lacking in store.missing(rows):
        with store.claimed(block) as mine:
            assert mine
            store.add(block, lacking, np.ones((len(lacking), 3), np.float32))
assert store.read(rows).sum() == 3 * len(rows)
assert not list(store.missing(rows))
"""


@pytest.mark.slow
def test_more_blocks_than_files_may_be_open(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.npy"))) == 200


ADDING = """
import sys
import numpy as np
from pathlib import Path
from harness.data.feature_store import BLOCK, FeatureStore
first = int(sys.argv[2])
for row in range(first, BLOCK, 2):
    done = False
    while not done:
        store = FeatureStore(Path(sys.argv[1]), 3)
        with store.claimed(0) as mine:
            if mine:
                store.add(0, np.array([row]), np.full((1, 3), row, np.float32))
                done = True
        if row > first:  # what was added before is there, whatever the other process does
            assert store.read(np.array([row - 2]))[0, 0] == row - 2
"""


@pytest.mark.slow
def test_two_processes_add_to_one_block(tmp_path: Path) -> None:
    """Each row once by each process, while the other reads: nothing is lost, nothing is missed."""
    command = [sys.executable, "-c", ADDING, str(tmp_path)]
    running = [subprocess.Popen([*command, first], stderr=subprocess.PIPE, text=True) for first in "01"]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    every = np.arange(BLOCK)
    found = FeatureStore(tmp_path, WIDTH).read(every)
    np.testing.assert_array_equal(found, np.repeat(every[:, None], WIDTH, axis=1))
