"""What travels to and from nodes that see neither the prepared data nor the study."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from harness.data.prepare import prepare
from harness.engine import ray_files
from harness.engine.kind import EngineSettings, Resources
from harness.engine.memory import GIB
from harness.engine.ray_files import DataKey, Outbox, Published, fetch, publish, scratch_folder
from harness.engine.ray_placement import idle_gpus, share, side_by_side, threads_of, without_room
from harness.errors import EngineError
from harness.experiment.dataset_config import DatasetConfig
from harness.machine import usable_cores
from harness.paths import StudyPaths
from harness.paths.study import trial_folder


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataKey:
    """Digits, which are prepared where the node's cache is not."""
    dataset = prepare(DatasetConfig(), seed=0, progress=lambda *_: None, cache=tmp_path / "coordinator")
    block = Path(dataset.folder) / "features" / "0123" / "train-0" / "000000-0123456789abcdef.npy"
    block.parent.mkdir(parents=True)
    np.save(block, np.ones((2, 3), np.float32))
    block.with_name(".tmp-1234-000001-0.npy").write_text("unfinished")
    monkeypatch.setattr(ray_files, "CHUNK_BYTES", 50_000)
    return DataKey.of(dataset.folder, dataset.split)


class Counted(list[bytes]):
    """Bytes by their numbers, and how often they were asked for."""

    asked = 0

    def put(self, content: bytes) -> int:
        self.append(content)
        return len(self) - 1

    def get(self, number: int) -> bytes:
        self.asked += 1
        return self[number]


def moved(key: DataKey) -> DataKey:
    """The same data, from a coordinator whose folder does not exist here."""
    return DataKey(f"/nowhere/{Path(key.folder).name}", key.split, key.manifest_sha256, key.split_sha256)


def test_data_is_fetched_once_in_chunks_and_is_the_same(key: DataKey) -> None:
    assert key.found() == Path(key.folder), "where the coordinator's folder is seen, it is used as it is"
    far, store = moved(key), Counted()
    assert far.found() is None
    published = publish(key, store.put)
    assert max(map(len, store)) == 50_000
    folder = fetch(far, published, store.get)
    assert far.found() == folder
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    here = {
        file.relative_to(key.folder).as_posix()
        for file in Path(key.folder).rglob("*.npy")
        if not file.name.startswith(".tmp")
    }
    assert there == here | {key.split, "manifest.json"}, "never which images are for testing"
    assert all((folder / name).read_bytes() == Path(key.folder, name).read_bytes() for name in there)
    before = store.asked
    assert fetch(far, published, store.get) == folder
    assert store.asked == before


def test_a_copy_that_was_cut_off_is_made_whole_and_a_damaged_chunk_is_refused(key: DataKey) -> None:
    far, store = moved(key), Counted()
    published = publish(key, store.put)

    def dies(number: int) -> bytes:
        if number == 3:
            raise OSError("the network is gone")
        return store.get(number)

    with pytest.raises(OSError, match="gone"):
        fetch(far, published, dies)
    assert far.found() is None
    assert fetch(far, published, store.get) == far.found()
    split = next(one for one in published if one.name == key.split)
    (far.copy / key.split).unlink()
    assert far.found() is None
    damaged = [Published(one.name, one.sha256, (published[0].chunks[0],)) if one is split else one
               for one in published]  # fmt: skip
    with pytest.raises(EngineError, match=r"arrived damaged: its SHA-256 differs"):
        fetch(far, damaged, store.get)
    assert far.found() is None


def test_data_of_another_content_is_not_taken_for_it(key: DataKey) -> None:
    assert not DataKey(key.folder, key.split, "0" * 64, key.split_sha256).is_in(Path(key.folder))
    with pytest.raises(EngineError, match="cannot be read"):
        DataKey.of("nowhere", key.split)


def test_each_file_of_a_trial_goes_once_and_two_checkpoints_stay(tmp_path: Path) -> None:
    outbox, folder = Outbox(tmp_path), tmp_path / trial_folder(3)
    folder.mkdir(parents=True)
    told = []
    for epoch in (1, 2, 3):
        file = folder / f"checkpoint-{epoch:05d}-1.ckpt"
        file.write_bytes(bytes([epoch]))
        os.utime(file, (epoch, epoch))
        (folder / ".tmp-1234-model.keras").write_text("unfinished")
        told.append(outbox.take(3))
    name = f"{trial_folder(3)}/checkpoint-0000%d-1.ckpt"
    assert told == [{name % epoch: bytes([epoch])} for epoch in (1, 2, 3)]
    assert outbox.take(3) == {}
    assert sorted(file.name for file in folder.glob("checkpoint-*")) == [
        "checkpoint-00002-1.ckpt", "checkpoint-00003-1.ckpt"
    ]  # fmt: skip
    outbox.put(name % 9, b"of another node")
    assert (tmp_path / (name % 9)).read_bytes() == b"of another node"
    assert outbox.take(3) == {}, "what came from the coordinator does not go back"
    outbox.forget(3)
    assert not folder.exists()


def test_the_scratch_folders_of_dead_processes_go() -> None:
    mine = scratch_folder()
    dead = mine.with_name("4194305-abcd")  # beyond the largest process id
    dead.mkdir()
    other = scratch_folder()
    assert mine.exists()
    assert other.exists()
    assert other != mine
    assert not dead.exists()


def settings(workers: int, **resources: float) -> EngineSettings:
    return EngineSettings(StudyPaths(Path("s")), workers, resources=Resources(**resources))


def test_workers_have_as_many_threads_as_whole_cores() -> None:
    assert [threads_of(settings(2, cpus=cpus)) for cpus in (0.5, 1, 2.5, 4)] == [1, 1, 2, 4]
    assert side_by_side(settings(1000, cpus=1)) == usable_cores()
    assert side_by_side(settings(1, cpus=0.1)) == 1
    assert side_by_side(settings(8, cpus=10_000)) == 1
    assert share(settings(2, cpus=1, memory=0.5)).memory == GIB // 2
    assert share(settings(2, cpus=3)).threads == 3


def test_it_is_said_where_no_node_has_room_or_gpus_lie_idle() -> None:
    small = {"Alive": True, "Resources": {"CPU": 2.0, "memory": 8.0 * GIB}}
    gpu = {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0, "memory": 32.0 * GIB}}
    dead = gpu | {"Alive": False}
    assert without_room(Resources(), [small]) is None
    assert without_room(Resources(gpus=0.5), [small, gpu]) is None
    for asked in (Resources(gpus=1), Resources(cpus=4), Resources(memory=16)):
        assert "has what a worker asks for" in str(without_room(asked, [small, dead]))
    assert idle_gpus(Resources(), [small, dead]) is None
    assert idle_gpus(Resources(gpus=0.5), [small, gpu]) is None
    assert "resources.gpus is 0" in str(idle_gpus(Resources(), [small, gpu]))
