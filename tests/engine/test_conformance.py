"""Every engine keeps the same promises: one suite, run on each."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from harness.data.prepare import prepare
from harness.engine import ENGINES, default_workers, make_engine, workers_of
from harness.engine.inline import InlineEngine
from harness.engine.kind import EngineSettings
from harness.engine.local import LocalEngine
from harness.engine.memory import WorkerMemory, own_memory
from harness.engine.protocol import Answered, Engine, EngineEvent, Reported, WorkerLost, WorkerReady
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.parameters import complete
from harness.paths import StudyPaths
from harness.records import (
    Answer,
    Checkpoint,
    CheckpointDamaged,
    CheckpointSaved,
    Dataset,
    EpochEnded,
    ModelSaved,
    Pulse,
    Question,
    Segment,
    SegmentEnded,
    SegmentFailed,
    TrainingEnded,
)
from harness.train.segment import run_segment
from harness.train.worker_cache import WorkerCache
from tests.engine.thread_engine import ThreadEngine

pytestmark = pytest.mark.slow

PATIENCE = 120.0


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepare(
        DatasetConfig(limit_train=200),
        seed=0,
        progress=lambda *_: None,
        cache=tmp_path_factory.mktemp("cache"),
    )


DOUBLES: dict[str, Callable[[int], Engine]] = {"inline": InlineEngine, "threads": ThreadEngine}
"""Engines that are not registered: segments run while they are polled, and workers that are threads."""


@pytest.fixture(scope="module", params=[*ENGINES, *DOUBLES])
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Engine, list[EngineEvent]]]:
    """An engine of two workers, and what it told until both were ready."""
    folder = tmp_path_factory.mktemp("engine")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HARNESS_CACHE", str(folder / "cache"))
        if request.param in DOUBLES:
            made = DOUBLES[request.param](2)
        else:
            made = make_engine(EngineSettings(StudyPaths(folder), 2), request.param)
        made.start()
    try:
        yield made, wait_for(made, WorkerReady, count=2)
    finally:
        made.close()
        made.close()


@pytest.fixture
def engine(started: tuple[Engine, list[EngineEvent]]) -> Engine:
    """Two workers that are ready. Every test leaves them so, and gives its segments a study of its own."""
    return started[0]


def segment(dataset: Dataset, folder: Path, **changes: object) -> Segment:
    values: dict[str, object] = {
        "study_folder": str(folder),
        "trial": 0,
        "attempt": 1,
        "params": complete({"family": "cnn", "depth": 1, "width": 4}),
        "seed": 5,
        "start": 0,
        "stop": 2,
        "max_epochs": 4,
        "dataset": dataset,
    }
    return Segment(**(values | changes))  # type: ignore[arg-type]


def wait_for(engine: Engine, wanted: type, count: int = 1) -> list[EngineEvent]:
    """Poll until `count` events, or events reported, of the wanted kind have come."""
    seen: list[EngineEvent] = []
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        seen += engine.poll(0.1)
        found = [e for e in seen if isinstance(e, wanted) or isinstance(getattr(e, "event", None), wanted)]
        if len(found) >= count:
            return seen
    raise AssertionError(f"no {wanted.__name__} came; seen: {seen}")


def answer_in(events: list[EngineEvent]) -> Answer:
    return next(event.answer for event in events if isinstance(event, Answered))


def reported(events: list[EngineEvent], worker: int) -> list[object]:
    return [event.event for event in events if isinstance(event, Reported) and event.worker == worker]


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_described_and_sized(name: str, tmp_path: Path) -> None:
    assert ENGINES[name].about.endswith(".")
    assert default_workers(1, name) == 1
    assert 1 <= default_workers(1000, name) <= 1000
    made = make_engine(EngineSettings(StudyPaths(tmp_path), 3), name)
    assert made.workers == 3
    made.close()


@pytest.mark.parametrize("name", ENGINES)
def test_a_studys_processes_are_known_while_its_engine_runs(name: str, tmp_path: Path) -> None:
    study = StudyPaths(tmp_path / "study")
    engine = make_engine(EngineSettings(study, 2), name)
    assert workers_of(study) == []
    engine.start()
    try:
        wait_for(engine, WorkerReady, count=2)
        assert len(workers_of(study)) == 2
        assert workers_of(StudyPaths(tmp_path / "other")) == []
    finally:
        engine.close()
    assert workers_of(study) == []


def test_every_worker_says_that_it_is_ready(started: tuple[Engine, list[EngineEvent]]) -> None:
    _, events = started
    assert {event.worker for event in events if isinstance(event, WorkerReady)} == {0, 1}


def test_a_segment_reports_epochs_then_its_end(engine: Engine, dataset: Dataset, tmp_path: Path) -> None:
    engine.submit(1, segment(dataset, tmp_path))
    told = [event for event in reported(wait_for(engine, SegmentEnded), 1) if not isinstance(event, Pulse)]
    # The checkpoint of an epoch is durable before the next epoch is told. The last one is written while the
    # worker is free for another segment already.
    assert [type(event) for event in told[:3]] == [EpochEnded, CheckpointSaved, EpochEnded]
    assert {type(event) for event in told[3:5]} == {CheckpointSaved, TrainingEnded}
    assert [type(event) for event in told[5:]] == [SegmentEnded]
    first = told[0]
    assert isinstance(first, EpochEnded)
    assert {
        "loss", "accuracy", "val_loss", "val_accuracy", "val_precision_macro", "val_recall_macro",
        "val_f1_macro", "val_balanced_accuracy", "val_top5_accuracy", "val_auroc_macro", "learning_rate",
        "epoch_seconds", "images_per_second",
    } == set(first.metrics)  # fmt: skip


def numbers(events: list[object]) -> list[tuple[int, float, float]]:
    return [
        (event.epoch, event.metrics["loss"], event.metrics["val_loss"])
        for event in events
        if isinstance(event, EpochEnded)
    ]


def saved_in(events: list[object]) -> list[Checkpoint]:
    return [event.checkpoint for event in events if isinstance(event, CheckpointSaved)]


def test_a_trial_that_goes_on_where_it_paused_equals_one_in_one(
    engine: Engine, dataset: Dataset, tmp_path: Path
) -> None:
    """On the same worker, which still holds it: no checkpoint is read."""
    engine.submit(0, segment(dataset, tmp_path, stop=4))
    whole = reported(wait_for(engine, SegmentEnded), 0)
    engine.submit(0, segment(dataset, tmp_path, trial=1))
    first = reported(wait_for(engine, SegmentEnded), 0)
    saved = saved_in(first)[-1]
    (tmp_path / saved.file).unlink()
    engine.submit(0, segment(dataset, tmp_path, trial=1, start=2, stop=4, checkpoint=saved))
    second = reported(wait_for(engine, SegmentEnded), 0)
    assert numbers(first) + numbers(second) == numbers(whole)


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_checkpoint_is_named_and_an_earlier_state_used(
    engine: Engine, dataset: Dataset, tmp_path: Path, damaged: int
) -> None:
    engine.submit(0, segment(dataset, tmp_path, stop=4))
    whole = reported(wait_for(engine, SegmentEnded), 0)
    engine.submit(0, segment(dataset, tmp_path, trial=1))
    earlier, latest = saved_in(reported(wait_for(engine, SegmentEnded), 0))
    content = (tmp_path / latest.file).read_bytes()
    (tmp_path / latest.file).write_bytes(content[:-40] + b"x" * 40)
    engine.submit(1, segment(dataset, tmp_path, trial=2))  # no worker holds trial 1 any more
    wait_for(engine, SegmentEnded)
    if damaged == 2:
        (tmp_path / earlier.file).unlink()
    engine.submit(
        1,
        segment(dataset, tmp_path, trial=1, start=2, stop=4, checkpoint=latest, earlier_checkpoint=earlier),
    )
    told = reported(wait_for(engine, SegmentEnded), 1)
    found = [event for event in told if isinstance(event, CheckpointDamaged)]
    assert [event.checkpoint for event in found] == [latest, earlier][:damaged]
    assert "SHA-256 differs" in found[0].message
    assert numbers(told) == numbers(whole)[2 - damaged :]


def test_a_trial_in_two_segments_on_two_workers_equals_one_in_one(
    engine: Engine, dataset: Dataset, tmp_path: Path
) -> None:
    """Also where the second begins in the middle of a cycle of the learning rate."""
    params = complete({"family": "cnn", "depth": 1, "width": 4, "schedule": "cycle_per_rung"})
    given = {"params": params, "cycles": (1, 4)}
    engine.submit(0, segment(dataset, tmp_path, stop=4, **given))
    whole = reported(wait_for(engine, SegmentEnded), 0)
    engine.submit(0, segment(dataset, tmp_path, trial=1, **given))
    first = reported(wait_for(engine, SegmentEnded), 0)
    saved = saved_in(first)[-1]
    engine.submit(1, segment(dataset, tmp_path, trial=1, start=2, stop=4, checkpoint=saved, **given))
    second = reported(wait_for(engine, SegmentEnded), 1)
    assert numbers(first) + numbers(second) == numbers(whole)
    rates = [event.metrics["learning_rate"] for event in whole if isinstance(event, EpochEnded)]
    assert rates[0] < rates[1] > rates[2] > rates[3], "epoch 1 ends a cycle, epoch 4 the other"
    model = next(event for event in second if isinstance(event, ModelSaved))
    assert (tmp_path / model.file).stat().st_size == model.size


def test_a_stopped_segment_ends_with_its_last_whole_epoch_and_goes_on_from_there(
    engine: Engine, dataset: Dataset, tmp_path: Path
) -> None:
    engine.submit(0, segment(dataset, tmp_path, stop=5000, max_epochs=5000))
    engine.stop_segment(0)
    told = reported(wait_for(engine, SegmentEnded), 0)
    end = told[-1]
    assert isinstance(end, SegmentEnded)
    assert end.epoch < 5000
    saved = saved_in(told)
    assert [event.epoch for event in told if isinstance(event, EpochEnded)] == [one.epoch for one in saved]
    assert end.epoch == (saved[-1].epoch if saved else 0)
    stop, latest = end.epoch + 2, saved[-1] if saved else None
    again = segment(dataset, tmp_path, start=end.epoch, stop=stop, max_epochs=5000, checkpoint=latest)
    engine.submit(0, again)
    told += reported(wait_for(engine, SegmentEnded), 0)
    engine.submit(1, segment(dataset, tmp_path, trial=1, stop=stop, max_epochs=5000))
    assert numbers(told) == numbers(reported(wait_for(engine, SegmentEnded), 1))


def test_a_segment_may_follow_while_the_model_of_the_last_one_is_written(
    engine: Engine, dataset: Dataset, tmp_path: Path
) -> None:
    """The two share a program; the first one's model is still that of its own weights."""
    engine.submit(0, segment(dataset, tmp_path, stop=4))
    events = wait_for(engine, TrainingEnded)
    engine.submit(0, segment(dataset, tmp_path, trial=1, seed=6, stop=4))
    events += wait_for(engine, SegmentEnded, count=2 - len(ended_in(events)))
    told = reported(events, 0)
    assert [event.trial for event in told if isinstance(event, SegmentEnded)] == [0, 1]
    engine.submit(1, segment(dataset, tmp_path, trial=2, stop=4))
    alone = reported(wait_for(engine, SegmentEnded), 1)
    saved = [event for event in [*told, *alone] if isinstance(event, ModelSaved)]
    contents = [np.load(tmp_path / event.file.replace("model.keras", "reference.npz")) for event in saved]
    weights = [weights_in(tmp_path / event.file) for event in saved]
    assert [event.trial for event in saved] == [0, 1, 2]
    for mine, other in zip(weights[0], weights[2], strict=True):
        np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(contents[0]["probabilities"], contents[2]["probabilities"])
    assert any((mine != other).any() for mine, other in zip(weights[0], weights[1], strict=True))


def ended_in(events: list[EngineEvent]) -> list[EngineEvent]:
    return [event for event in events if isinstance(getattr(event, "event", None), SegmentEnded)]


def weights_in(model: Path) -> list[npt.NDArray[np.float32]]:
    import keras

    weights: list[npt.NDArray[np.float32]] = keras.models.load_model(model).get_weights()
    return weights


def test_a_failing_segment_is_reported_and_the_worker_goes_on(
    engine: Engine, dataset: Dataset, tmp_path: Path
) -> None:
    broken = complete({"family": "cnn", "depth": 1, "width": 4}) | {"family": "none such"}
    engine.submit(0, segment(dataset, tmp_path, params=broken))
    failure = reported(wait_for(engine, SegmentFailed), 0)[-1]
    assert isinstance(failure, SegmentFailed)
    assert failure.failure == "user_code"
    assert "none such" in failure.message
    engine.submit(0, segment(dataset, tmp_path, trial=1))
    wait_for(engine, SegmentEnded)


def test_divergence_is_told_as_such(engine: Engine, dataset: Dataset, tmp_path: Path) -> None:
    wild = complete({"family": "baseline", "optimizer": "sgd", "l2": 1.0})
    engine.submit(0, segment(dataset, tmp_path, params=wild | {"learning_rate": 1e20}))
    failure = reported(wait_for(engine, SegmentFailed), 0)[-1]
    assert isinstance(failure, SegmentFailed)
    assert failure.failure == "diverged"


def test_a_restarted_worker_is_ready_again(engine: Engine) -> None:
    engine.restart(1)
    assert WorkerReady(1) in wait_for(engine, WorkerReady)


def test_a_killed_worker_is_noticed_with_the_signal(dataset: Dataset, tmp_path: Path) -> None:
    engine = LocalEngine(StudyPaths(tmp_path), 1)
    engine.start()
    try:
        wait_for(engine, WorkerReady)
        engine.submit(0, segment(dataset, tmp_path, stop=5000, max_epochs=5000))
        wait_for(engine, EpochEnded)
        os.kill(engine._processes[0].process.pid, signal.SIGKILL)
        lost = wait_for(engine, WorkerLost)[-1]
        assert isinstance(lost, WorkerLost)
        assert "SIGKILL" in lost.reason
    finally:
        engine.close()


def test_in_bfloat16_a_trial_in_two_segments_on_two_workers_equals_one_in_one_and_questions_change_nothing(
    dataset: Dataset, tmp_path: Path
) -> None:
    engine = LocalEngine(StudyPaths(tmp_path), 2)
    engine.start()
    chosen = {"precision": "bfloat16", "params": complete({"family": "cnn", "depth": 1, "width": 4})}
    arguments = {
        "params": chosen["params"],
        "image_shape": list(dataset.image_shape),
        "classes": len(dataset.classes),
        "seconds": 60.0,
    }
    try:
        wait_for(engine, WorkerReady, count=2)
        engine.ask(0, Question(name="precisions", arguments=arguments))
        found = answer_in(wait_for(engine, Answered))
        assert found.error is None
        assert set(found.found) == {"float32", "bfloat16"}
        assert all(0 < seconds < 60 for seconds in found.found.values())
        engine.ask(0, Question(name="precisions", arguments=arguments | {"seconds": 0.0}))
        assert "compiling takes longer" in str(answer_in(wait_for(engine, Answered)).error)
        engine.submit(0, segment(dataset, tmp_path, trial=1, **chosen))
        first = reported(wait_for(engine, SegmentEnded), 0)
        saved = saved_in(first)[-1]
        engine.submit(1, segment(dataset, tmp_path, trial=1, start=2, stop=4, checkpoint=saved, **chosen))
        second = reported(wait_for(engine, SegmentEnded), 1)
        engine.submit(1, segment(dataset, tmp_path, stop=4, **chosen))
        whole = reported(wait_for(engine, SegmentEnded), 1)
        engine.submit(1, segment(dataset, tmp_path, trial=2))
        other = reported(wait_for(engine, SegmentEnded), 1)
    finally:
        engine.close()
    assert numbers(first) + numbers(second) == numbers(whole)
    assert numbers(other) != numbers(first)


def test_a_set_beyond_the_memory_for_data_is_streamed_with_the_same_numbers(
    dataset: Dataset, tmp_path: Path
) -> None:
    found = []
    for data in (1 << 30, 1):
        memory = WorkerMemory(programs=1 << 30, data=data, device_data=None, recycle=1 << 40, limit=None)
        engine = LocalEngine(StudyPaths(tmp_path / str(data)), 1, memory=memory)
        engine.start()
        try:
            wait_for(engine, WorkerReady)
            engine.submit(0, segment(dataset, tmp_path / str(data)))
            found.append(numbers(reported(wait_for(engine, SegmentEnded), 0)))
        finally:
            engine.close()
    assert found[0] == found[1]


def test_a_worker_that_has_grown_is_known_but_not_one_that_was_large_from_the_start(
    dataset: Dataset, tmp_path: Path
) -> None:
    Path("leaking.py").write_text(
        "import keras, numpy\n"
        "kept = []\n"
        "def build(params, image_shape, num_classes):\n"
        "    kept.append(numpy.ones(params['kept_bytes'], numpy.uint8))\n"
        "    x = keras.Input(image_shape)\n"
        "    return keras.Model(x, keras.layers.Dense(num_classes)(keras.layers.Flatten()(x)))\n"
    )
    memory = WorkerMemory(programs=1, data=1, device_data=None, recycle=1, limit=None)
    engine = LocalEngine(StudyPaths(tmp_path), 1, memory=memory)
    engine.start()
    grown: list[bool] = []
    try:
        wait_for(engine, WorkerReady)
        for trial, kept in enumerate((1, 1, 2 * own_memory(engine._processes[0].process.pid))):
            params = complete({"kept_bytes": kept}, "leaking:build")
            engine.submit(0, segment(dataset, tmp_path, trial=trial, params=params))
            wait_for(engine, SegmentEnded)
            grown.append(engine.has_grown(0))
    finally:
        engine.close()
    assert grown == [False, False, True]
    assert not engine.has_grown(0)


def test_a_workers_processor_time_grows_with_its_work(dataset: Dataset, tmp_path: Path) -> None:
    engine = LocalEngine(StudyPaths(tmp_path), 1)
    assert engine.cpu_seconds(0) == 0
    engine.start()
    try:
        wait_for(engine, WorkerReady)
        before = engine.cpu_seconds(0)
        engine.submit(0, segment(dataset, tmp_path, stop=4))
        wait_for(engine, SegmentEnded)
        assert engine.cpu_seconds(0) > before > 0
    finally:
        engine.close()
    assert engine.cpu_seconds(0) == 0


def test_programs_beyond_their_memory_are_dropped_the_oldest_first(dataset: Dataset, tmp_path: Path) -> None:
    bench = WorkerCache(programs_memory=0)
    for trial, width in enumerate((4, 6, 4)):
        params = complete({"family": "cnn", "depth": 1, "width": width})
        run_segment(
            segment(dataset, tmp_path, trial=trial, params=params), bench, lambda _: None, lambda: False
        ).result()
        assert len(bench.programs) <= 2
        bench.sizes = dict.fromkeys(bench.sizes, 1)
    assert len(bench.programs) == 1


def test_over_200_trials_a_workers_memory_stays_where_it_is(dataset: Dataset, tmp_path: Path) -> None:
    """Four programs, trained in turn, with a checkpoint and a model each: the last 50 against the first."""
    engine = LocalEngine(StudyPaths(tmp_path), 1)
    engine.start()
    used: list[int] = []
    try:
        wait_for(engine, WorkerReady)
        process = engine._processes[0].process.pid
        for trial in range(200):
            params = complete({"family": "cnn", "depth": 1 + trial % 2, "width": 4 + trial // 2 % 2})
            engine.submit(0, segment(dataset, tmp_path, trial=trial, params=params, max_epochs=2))
            wait_for(engine, SegmentEnded)
            used.append(own_memory(process))
    finally:
        engine.close()
    first, last = np.mean(used[:50]), np.mean(used[-50:])
    print(f"{first / 2**20:.0f} MiB over the first 50 trials, {last / 2**20:.0f} MiB over the last 50")
    assert last < 1.1 * first
