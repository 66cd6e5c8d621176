"""What workers have written to a bucket is in the study's folder before the coordinator hears of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.engine.fetching import FetchingEngine
from harness.engine.inline import InlineEngine
from harness.engine.protocol import EngineEvent, Reported, WorkerLost, WorkerReady
from harness.errors import EngineError
from harness.paths import StudyPaths, sha256_of
from harness.records import (
    CheckpointSaved,
    Dataset,
    EpochEnded,
    ModelSaved,
    SegmentEnded,
    SegmentFailed,
    StoreAway,
)
from harness.train import store_waits
from tests.engine.test_conformance import dataset, reported, segment, wait_for
from tests.object_store import ENVIRONMENT, ObjectStore, object_store

__all__ = ["dataset"]
pytestmark = pytest.mark.slow


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with object_store() as server:
        for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": server.address}).items():
            monkeypatch.setenv(name, value)
        server.make_bucket("sweeps")
        yield server


@pytest.fixture
def engine(store: ObjectStore, tmp_path: Path) -> Iterator[FetchingEngine]:
    """One worker in this process."""
    made = FetchingEngine(InlineEngine(1), StudyPaths(tmp_path / "study"), f"s3://sweeps/{tmp_path.name}")
    made.start()
    wait_for(made, WorkerReady)
    try:
        yield made
    finally:
        made.close()


def heard(engine: FetchingEngine, wanted: Callable[[EngineEvent], bool]) -> list[EngineEvent]:
    """All that is heard until this comes."""
    seen: list[EngineEvent] = []
    deadline = time.monotonic() + 120
    while not any(wanted(event) for event in seen):
        assert time.monotonic() < deadline, seen
        seen += engine.poll(0.1)
    return seen


def tells(event: EngineEvent, kind: type) -> bool:
    return isinstance(event, Reported) and isinstance(event.event, kind)


def test_a_model_is_there_when_it_is_heard_of_and_checkpoints_are_not(
    engine: FetchingEngine, store: ObjectStore, dataset: Dataset, tmp_path: Path
) -> None:
    engine.submit(0, segment(dataset, tmp_path / "study", max_epochs=2))
    events = reported(wait_for(engine, SegmentEnded), 0)
    model = next(event for event in events if isinstance(event, ModelSaved))
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [1, 2]
    folder = tmp_path / "study" / "trials" / "00000"
    assert sorted(file.name for file in folder.iterdir()) == [
        "model.keras",
        "reference.npz",
        "validation.npz",
    ]
    assert sha256_of(tmp_path / "study" / model.file) == model.sha256
    assert sha256_of(tmp_path / "study" / model.predictions) == model.predictions_sha256
    assert sha256_of(folder / "reference.npz") == model.reference_sha256
    saved = next(event for event in events if isinstance(event, CheckpointSaved)).checkpoint
    assert f"{tmp_path.name}/{saved.file}" in store.objects("sweeps")


def test_a_model_that_was_changed_in_the_bucket_costs_its_segment_and_no_trial(
    engine: FetchingEngine,
    store: ObjectStore,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = f"{tmp_path.name}/trials/00000/model.keras"
    poll = engine.engine.poll

    def changed(timeout: float) -> list[EngineEvent]:
        events = poll(timeout)
        if any(tells(event, ModelSaved) for event in events):
            store.put("sweeps", key, store.get("sweeps", key)[:-1])
        return events

    monkeypatch.setattr(engine.engine, "poll", changed)
    engine.submit(0, segment(dataset, tmp_path / "study", max_epochs=2))
    events = heard(engine, lambda event: isinstance(event, WorkerLost))
    lost = events[-1]
    assert isinstance(lost, WorkerLost)
    assert lost.failure == "preempted"
    assert "is not what was written: its SHA-256 differs" in lost.reason
    assert not any(tells(event, ModelSaved) for event in events)
    assert not (tmp_path / "study" / "trials" / "00000" / "model.keras").exists()
    engine.restart(0)
    monkeypatch.undo()


def test_a_folder_that_cannot_be_written_ends_the_sweep(
    engine: FetchingEngine, dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "trials").write_text("no folder")
    engine.submit(0, segment(dataset, tmp_path / "study", max_epochs=2))
    with pytest.raises(EngineError, match="A file of a trial cannot be written to"):
        heard(engine, lambda event: tells(event, SegmentEnded))


def test_a_store_that_stays_away_is_waited_for_and_then_costs_the_segment_and_no_trial(
    engine: FetchingEngine,
    store: ObjectStore,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store_waits, "PATIENCE_SECONDS", 8.0)
    store.stop()
    engine.submit(0, segment(dataset, tmp_path / "study"))
    events = reported(heard(engine, lambda event: tells(event, SegmentFailed)), 0)
    failed = events[-1]
    assert isinstance(failed, SegmentFailed)
    assert failed.failure == "preempted"
    said = next(event.message for event in events if isinstance(event, StoreAway))
    assert said.endswith("cannot be reached: it cannot be connected to. It goes on when it can.")
    assert "AWS Error" not in failed.traceback
    store.start()
    engine.submit(0, segment(dataset, tmp_path / "study", attempt=2))
    assert wait_for(engine, SegmentEnded)


def test_a_sweep_that_is_stopped_does_not_wait_for_a_model_in_a_store_that_is_away(
    engine: FetchingEngine,
    store: ObjectStore,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poll = engine.engine.poll

    def cut_off(timeout: float) -> list[EngineEvent]:
        events = poll(timeout)
        if any(tells(event, ModelSaved) for event in events):
            store.stop()
        return events

    monkeypatch.setattr(engine.engine, "poll", cut_off)
    engine.submit(0, segment(dataset, tmp_path / "study", max_epochs=2))
    events = heard(engine, lambda event: tells(event, StoreAway))
    assert not any(tells(event, ModelSaved) for event in events)
    engine.stop_segment(0)
    lost = heard(engine, lambda event: isinstance(event, WorkerLost))[-1]
    assert isinstance(lost, WorkerLost)
    assert lost.failure == "preempted"
    assert "it cannot be connected to" in lost.reason
    monkeypatch.undo()
