"""The local engine on a machine whose driver tells of GPUs: who is started where, and what memory decides.

The driver is made up, and so are the workers' processes, which need no GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from harness.engine import local, make_engine
from harness.engine.kind import EngineSettings
from harness.engine.memory import GIB
from harness.engine.protocol import Answered, Engine, EngineEvent, Reported, WorkerLost, WorkerReady
from harness.paths import StudyPaths
from harness.records import Params, Question, Segment, SegmentFailed
from tests.fake_driver import FakeCard, install, install_script
from tests.studies import DATASET

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60.0
Start = Callable[..., Engine]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts an engine of workers that say what they see."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(local, "WORKER_MODULE", "tests.engine.gpu_worker")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    engines: list[Engine] = []

    def begin(workers: int, at_first: int | None = None, note: Callable[[str], None] = print) -> Engine:
        paths = StudyPaths(tmp_path / "study")
        engines.append(make_engine(EngineSettings(paths, workers, at_first=at_first, note=note)))
        engines[-1].start()
        return engines[-1]

    yield begin
    for engine in engines:
        with closing(engine):
            pass


def heard(engine: Engine, kind: type, count: int) -> list[EngineEvent]:
    """The next so many events of a kind."""
    found: list[EngineEvent] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < count and time.monotonic() < deadline:
        found += [event for event in engine.poll(0.1) if isinstance(event, kind)]
    assert len(found) == count
    return found


def segment(**params: int) -> Segment:
    given: Params = dict(params)
    return Segment(
        study_folder="s", trial=0, attempt=1, params=given, seed=0, start=0, stop=1, max_epochs=1,
        dataset=DATASET,
    )  # fmt: skip


def seen(engine: Engine, workers: range) -> list[str]:
    """What each worker says of the GPU that it sees."""
    answers = []
    for worker in workers:
        engine.ask(worker, Question(name="gpu"))
        (event,) = heard(engine, Answered, 1)
        assert isinstance(event, Answered)
        answers.append(event.answer.said)
    return answers


def test_each_worker_sees_one_gpu_and_its_share_of_that_ones_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    """Of a whole card and of the parts of another; the one with the most free memory comes first."""
    parts = (("1g.5gb", "MIG-1"), ("1g.5gb", "MIG-2"))
    cards = [FakeCard("GPU-split", mig="Enabled", parts=parts), FakeCard("GPU-whole", memory="16384")]
    install(tmp_path, monkeypatch, cards)
    engine = start(4)
    heard(engine, WorkerReady, 4)
    most = int(0.85 * 5 * 1024) * 2**20 // 8
    assert seen(engine, range(4)) == [
        f"{name} --device-data={most}" for name in ("GPU-whole", "MIG-1", "MIG-2", "GPU-whole")
    ]


def test_more_workers_start_when_it_is_known_that_they_have_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    install(tmp_path, monkeypatch, [FakeCard("GPU-a", memory="16384", used="0")])
    engine = start(4, at_first=1)
    heard(engine, WorkerReady, 1)
    engine.submit(0, segment(peak=2 * GIB))  # with what else it takes 3.5 GiB, of 14.4
    heard(engine, Reported, 1)
    assert {event.worker for event in heard(engine, WorkerReady, 3)} == {1, 2, 3}  # type: ignore[union-attr]
    assert not engine.has_grown(0)
    engine.submit(1, segment(peak=5 * GIB))  # 7.25 GiB: no two of them have room
    heard(engine, Reported, 1)
    for worker in (3, 2, 1):
        assert engine.has_grown(worker)
        engine.restart(worker)
    assert not engine.has_grown(0)
    assert engine.poll(0.5) == [], "none of them was started again"
    engine.restart(0)
    heard(engine, WorkerReady, 1)


@pytest.mark.parametrize("how", ["fails", "dies"])
def test_where_a_gpus_memory_runs_out_fewer_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start, how: str
) -> None:
    install(tmp_path, monkeypatch, [FakeCard("GPU-a")])
    engine = start(2)
    heard(engine, WorkerReady, 2)
    for worker, shared in ((1, True), (0, False)):
        engine.submit(worker, segment(**{how: 1}))
        if how == "dies":
            (lost,) = heard(engine, WorkerLost, 1)
            assert isinstance(lost, WorkerLost)
            assert (lost.failure, lost.shared) == ("out_of_memory", shared)
        else:
            (said,) = heard(engine, Reported, 1)
            assert isinstance(said, Reported)
            assert isinstance(said.event, SegmentFailed)
            assert said.event.shared == shared
        engine.restart(worker)
        if worker == 1:
            assert engine.poll(0.5) == [], "one worker fewer shares it"
    heard(engine, WorkerReady, 1)


def test_with_a_driver_that_does_not_answer_workers_see_no_gpu_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    monkeypatch.setattr("harness.gpus.ANSWER_SECONDS", 0.2)
    install_script(tmp_path, monkeypatch, "sleep 60\n")
    said: list[str] = []
    engine = start(1, note=said.append)
    heard(engine, WorkerReady, 1)
    assert seen(engine, range(1)) == [""]
    assert said == [f"{tmp_path}/nvidia-smi has not answered within 0.2 s. Workers compute on the processor."]


def test_without_a_driver_nothing_of_it_is_changed_for_workers(
    monkeypatch: pytest.MonkeyPatch, start: Start, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = start(1)
    heard(engine, WorkerReady, 1)
    assert seen(engine, range(1)) == ["all"]
