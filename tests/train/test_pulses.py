"""An epoch in pulses is the same epoch, and can be stopped within it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.parameters import complete
from harness.records import Annealing, Dataset, EpochEnded, Pulse
from harness.train import pulses
from harness.train.pulses import GROWTH, PULSE_SECONDS, Pace
from harness.train.worker_cache import WorkerCache
from tests.train.one_worker import Worker

EPOCHS = 3
PARAMS = complete(
    {"depth": 1, "width": 4, "dropout": 0.3, "augmentation": "shift", "ema": 0.9, "batch_size": 16}
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    cache = tmp_path_factory.mktemp("cache")
    return prepare(DatasetConfig(limit_train=200), seed=0, progress=lambda *_: None, cache=cache)


@pytest.fixture
def always_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is a pulse, and every pulse is told."""
    monkeypatch.setattr(pulses, "PULSE_SECONDS", 0.0)
    monkeypatch.setattr(pulses, "QUIET_SECONDS", 0.0)


@pytest.fixture(scope="module")
def whole(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """A trial whose every epoch is one pulse, after those by which its pace is found."""
    worker = Worker(dataset, tmp_path_factory.mktemp("whole"), PARAMS, EPOCHS)
    worker.run()
    return worker


@pytest.mark.usefixtures("always_told")
def test_an_epoch_in_pulses_of_one_step_is_the_same_to_the_last_bit(
    whole: Worker, dataset: Dataset, tmp_path: Path
) -> None:
    worker = Worker(dataset, tmp_path, PARAMS, EPOCHS)
    assert worker.run().over
    assert worker.numbers() == whole.numbers()
    assert worker.weights() == whole.weights()
    steps = -(-dataset.counts["train"] // 16)
    training = [one for one in worker.told if isinstance(one, Pulse) and one.phase == "training"]
    assert [one.epoch for one in training] == [epoch for epoch in (1, 2, 3) for _ in range(steps)]
    assert [one.share for one in training[:steps]] == [step / steps for step in range(1, steps + 1)]
    phases = {one.phase for one in worker.told if isinstance(one, Pulse)}
    assert phases - {"writing"} == {"training", "validation"}


@pytest.mark.usefixtures("always_told")
@pytest.mark.parametrize("phase", ["training", "validation"])
@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("fresh", [True, False], ids=["another worker", "the same worker"])
def test_a_trial_that_is_stopped_within_an_epoch_goes_on_to_the_last_bit(
    whole: Worker, dataset: Dataset, tmp_path: Path, phase: str, epoch: int, fresh: bool
) -> None:
    worker = Worker(dataset, tmp_path, PARAMS, EPOCHS)
    ended = worker.run(lambda one: isinstance(one, Pulse) and (one.phase, one.epoch) == (phase, epoch))
    assert (ended.epoch, ended.over) == (epoch - 1, False)
    latest = worker.latest
    assert (latest.epoch if latest else 0) == epoch - 1
    if fresh:
        worker.cache = WorkerCache()
    losses = tuple(one.metrics["val_loss"] for one in worker.told if isinstance(one, EpochEnded))
    assert worker.run(attempt=2, start=epoch - 1, checkpoint=latest, past_losses=losses).over
    assert worker.numbers() == whole.numbers()
    assert worker.weights() == whole.weights()


def test_a_training_that_ends_early_goes_on_to_the_last_bit(dataset: Dataset, tmp_path: Path) -> None:
    """From its checkpoints, one in the middle of its last cycle, it is what it is when trained as a whole."""
    ends = {"annealing": Annealing(start=1, stop=3), "max_epochs": 9}
    straight = Worker(dataset, tmp_path / "straight", PARAMS, EPOCHS)
    assert straight.run(**ends).over
    worker = Worker(dataset, tmp_path / "paused", PARAMS, EPOCHS)
    assert not worker.run(stop=1, max_epochs=9).over
    assert not worker.run(start=1, stop=2, checkpoint=worker.latest, **ends).over
    worker.cache = WorkerCache()
    ended = worker.run(start=2, stop=3, checkpoint=worker.latest, **ends)
    assert (ended.over, ended.epoch) == (True, 3)
    assert worker.numbers() == straight.numbers()
    assert worker.weights() == straight.weights()


def test_a_segment_ends_with_the_last_epoch_that_is_granted(
    whole: Worker, dataset: Dataset, tmp_path: Path
) -> None:
    worker = Worker(dataset, tmp_path, PARAMS, EPOCHS)
    ended = worker.run(granted=2)
    assert (ended.epoch, ended.over) == (2, False)
    assert worker.latest is not None
    assert worker.numbers() == whole.numbers()[:2]


@given(st.lists(st.floats(1e-5, 30.0), min_size=1, max_size=30))
def test_pulses_take_about_a_second_whatever_a_step_takes(step_seconds: list[float]) -> None:
    pace = Pace()
    pace.learn(1, 9.0)
    assert pace.steps == 1, "the first pulse compiles, so it says nothing"
    for seconds in step_seconds:
        before = pace.steps
        pace.learn(before, before * seconds)
        assert 1 <= pace.steps <= GROWTH * before
        assert pace.steps == 1 or pace.steps * seconds <= PULSE_SECONDS * 1.001


def test_a_remainder_of_an_epoch_does_not_change_the_pace() -> None:
    pace = Pace()
    for _ in range(10):
        pace.learn(pace.steps, 0.001 * pace.steps)
    before = pace.steps
    pace.learn(1, 0.5)
    assert pace.steps == before > 100
    pace.learn(10, 5.0)
    assert pace.steps == 2, "unless it shows that a pulse would take too long"
