"""Workers of the Ray engine that see neither the study's folder nor the prepared data."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from harness.data.prepare import prepare
from harness.engine.fetching import FetchingEngine
from harness.engine.kind import EngineSettings
from harness.engine.local import LocalEngine
from harness.engine.protocol import WorkerReady
from harness.engine.ray_engine import RayEngine
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.parameters import complete
from harness.paths import StudyPaths, sha256_of
from harness.records import CheckpointDamaged, CheckpointSaved, ModelSaved, SegmentEnded
from harness.study_files import study_files
from tests.engine.test_conformance import numbers, reported, saved_in, segment, wait_for
from tests.object_store import ENVIRONMENT, ObjectStore, object_store

pytestmark = pytest.mark.slow

OWN = Path(__file__).parents[2] / "experiments" / "my_network.py"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A server with a bucket, which this process and workers know."""
    with object_store() as server:
        for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": server.address}).items():
            monkeypatch.setenv(name, value)
        server.make_bucket("sweeps")
        yield server


@pytest.fixture
def engine(store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayEngine]:
    """Two workers, which know paths of the coordinator that mean nothing where they are."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(OWN, elsewhere)
    with monkeypatch.context() as patch:
        patch.chdir(elsewhere)
        patch.setenv("HARNESS_CACHE", str(tmp_path / "cache of the node"))
        made = RayEngine(EngineSettings(StudyPaths(tmp_path / "study"), 2, model=f"{OWN.stem}:build"))
        made.start()
    (elsewhere / OWN.name).unlink()
    for token in (tmp_path / "study" / "workers").glob("seen-*"):
        token.unlink()
    try:
        yield made
    finally:
        made.close()


def test_data_goes_to_the_node_and_checkpoints_and_models_come_back(
    engine: RayEngine, store: ObjectStore, tmp_path: Path
) -> None:
    """And what is trained there is what is trained here, also with a bucket between the workers."""
    dataset = prepare(
        DatasetConfig(limit_train=200), seed=0, progress=lambda *_: None, cache=Path("prepared here")
    )
    assert not Path(dataset.folder).is_absolute(), "a path that leads nowhere from another directory"
    with closing(LocalEngine(StudyPaths(tmp_path / "alone"), 1, threads=1)) as alone:
        alone.start()
        wait_for(alone, WorkerReady)
        alone.submit(0, segment(dataset, tmp_path / "alone", stop=4))
        wanted = reported(wait_for(alone, SegmentEnded), 0)
    wait_for(engine, WorkerReady, count=2)
    study = tmp_path / "study"
    engine.submit(0, segment(dataset, study))
    first = reported(wait_for(engine, SegmentEnded), 0)
    saved = saved_in(first)[-1]
    assert sha256_of(study / saved.file) == saved.sha256
    engine.submit(1, segment(dataset, study, start=2, stop=4, checkpoint=saved))
    second = reported(wait_for(engine, SegmentEnded), 1)
    assert numbers(first) + numbers(second) == numbers(wanted)
    model = next(event for event in second if isinstance(event, ModelSaved))
    assert sha256_of(study / model.file) == model.sha256
    assert (study / model.file).with_name("reference.npz").is_file()
    assert any(isinstance(event, CheckpointSaved) for event in second)
    (copy,) = (tmp_path / "cache of the node" / "nodes" / "data").glob("*/manifest.json")
    assert copy.read_bytes() == Path(dataset.folder, "manifest.json").read_bytes()

    place = "s3://sweeps/study"
    bucket = FetchingEngine(engine, StudyPaths(study), place)
    bucket.submit(0, segment(dataset, study, trial=1))
    first = reported(wait_for(bucket, SegmentEnded), 0)
    saved = saved_in(first)[-1]
    assert not (study / saved.file).exists()
    assert study_files(place).stamp(saved.file).sha256 == saved.sha256
    bucket.submit(1, segment(dataset, study, trial=1, start=2, stop=4, checkpoint=saved))
    second = reported(wait_for(bucket, SegmentEnded), 1)
    assert numbers(first) + numbers(second) == numbers(wanted)
    model = next(event for event in second if isinstance(event, ModelSaved))
    assert sha256_of(study / model.file) == model.sha256 == study_files(place).stamp(model.file).sha256
    assert not any(isinstance(event, CheckpointDamaged) for event in second)


def test_a_network_of_ones_own_goes_to_the_node(
    engine: RayEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And gives there what it gives here."""
    dataset = prepare(DatasetConfig(limit_train=200), seed=0, progress=lambda *_: None)
    own = {"filters": 8, "squeeze": True, "dropout": 0.1}
    params = complete(own, f"{OWN.stem}:build")
    beside = tmp_path / "beside"
    beside.mkdir()
    shutil.copy(OWN, beside)
    monkeypatch.chdir(beside)
    with closing(LocalEngine(StudyPaths(tmp_path / "alone"), 1, threads=1)) as alone:
        alone.start()
        wait_for(alone, WorkerReady)
        alone.submit(0, segment(dataset, tmp_path / "alone", params=params))
        wanted = reported(wait_for(alone, SegmentEnded), 0)
    wait_for(engine, WorkerReady, count=2)
    engine.submit(0, segment(dataset, tmp_path / "study", params=params))
    assert numbers(reported(wait_for(engine, SegmentEnded), 0)) == numbers(wanted)
    (copy,) = (tmp_path / "cache of the node" / "nodes" / "code").glob(f"*/{OWN.name}")
    assert copy.read_bytes() == OWN.read_bytes()
