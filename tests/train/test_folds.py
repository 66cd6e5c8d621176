"""Folds in a worker: one program and one copy of the images for all of them, and then all images at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.parameters import complete
from harness.records import Dataset, EpochEnded, FeaturesReady, ModelSaved, Params, SegmentEnded
from harness.train.images import ChosenImages, Room, of_fold, split_images
from harness.train.worker_cache import WorkerCache
from tests.train.one_worker import Worker

EPOCHS, PARTS = 3, 3
PARAMS = complete(
    {"depth": 1, "width": 8, "dropout": 0.2, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.02}
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    cache = tmp_path_factory.mktemp("cache")
    config = DatasetConfig(limit_train=100, folds=PARTS)
    return prepare(config, seed=0, progress=lambda *_: None, cache=cache)


def run_fold(worker: Worker, fold: int | None, **changes: Any) -> SegmentEnded:
    """Train one fold of the worker's trial, or all images."""
    before = EPOCHS * (PARTS if fold is None else fold)
    place = {"start": before, "stop": before + EPOCHS, "before": before, "fold": fold}
    return worker.run(**place | changes)


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """A trial: three folds, and all images for two epochs."""
    worker = Worker(dataset, tmp_path_factory.mktemp("trained"), PARAMS, EPOCHS)
    for fold in range(PARTS):
        run_fold(worker, fold, seed=fold)
    run_fold(worker, None, last=EPOCHS * PARTS + 2)
    return worker


def figures(worker: Worker) -> list[tuple[int, dict[str, float]]]:
    """Epochs, and all that was measured in them but times."""
    return [
        (one.epoch, {name: value for name, value in one.metrics.items() if "second" not in name})
        for one in epochs_of(worker)
    ]


def epochs_of(worker: Worker) -> list[EpochEnded]:
    return [event for event in worker.told if isinstance(event, EpochEnded)]


def test_epochs_are_counted_through_and_say_their_fold(trained: Worker) -> None:
    folds = [(fold * EPOCHS + own, fold) for fold in range(PARTS) for own in range(1, EPOCHS + 1)]
    whole = [(PARTS * EPOCHS + own, None) for own in (1, 2)]
    assert [(one.epoch, one.fold) for one in epochs_of(trained)] == [*folds, *whole]
    for event in epochs_of(trained):
        assert ("val_accuracy" in event.metrics) == (event.fold is not None)


def test_a_fold_ends_without_a_model_and_all_images_with_one(trained: Worker, dataset: Dataset) -> None:
    ends = [event for event in trained.told if isinstance(event, SegmentEnded)]
    assert [(one.epoch, one.over) for one in ends] == [(3, False), (6, False), (9, False), (11, True)]
    (saved,) = trained.of_kind(ModelSaved)
    assert isinstance(saved, ModelSaved)
    assert saved.epoch == 11
    arrays, last = load(dataset), {one.fold: one.metrics for one in epochs_of(trained)}
    for fold, end in enumerate(ends[:PARTS]):
        (found,) = end.evaluations
        assert found.fold == fold
        assert sum(map(sum, found.confusion)) == arrays.held_out(fold).sum()
        assert found.metrics["accuracy"] == last[fold]["val_accuracy"]
    assert ends[-1].evaluations == []


def test_all_trainings_share_one_compiled_program(trained: Worker) -> None:
    (program,) = trained.cache.programs.values()
    assert program._train.experimental_get_tracing_count() == 1


def test_no_fold_trains_on_what_it_is_validated_on(trained: Worker, dataset: Dataset) -> None:
    arrays = load(dataset)
    every = split_images(arrays, Room(1 << 30))
    pixels, labels = arrays.train()
    for fold in range(PARTS):
        held = arrays.held_out(fold)
        found = of_fold(every, held)
        own = np.arange(len(found.train_labels), dtype=np.int32)[None]
        rows = found.rows(own, seed=0, epoch=1)[0]
        assert set(rows.tolist()) == set(np.flatnonzero(~held).tolist())
        np.testing.assert_array_equal(found.train_labels, labels[rows])
        np.testing.assert_array_equal(found.validation[:], pixels[held])
        np.testing.assert_array_equal(found.validation_labels, labels[held])
        chosen = found.rows(own, seed=1, epoch=2)
        assert not held[chosen].any()


@pytest.mark.parametrize("fresh", [True, False], ids=["another worker", "the same worker"])
def test_a_fold_goes_on_from_a_checkpoint_to_the_same_numbers(
    trained: Worker, dataset: Dataset, tmp_path: Path, fresh: bool
) -> None:
    worker = Worker(dataset, tmp_path, PARAMS, EPOCHS)
    worker.run(lambda event: isinstance(event, EpochEnded), start=3, stop=6, before=3, fold=1, seed=1)
    assert [one.epoch for one in epochs_of(worker)] == [4]
    if fresh:
        worker.cache = WorkerCache()
    run_fold(worker, 1, start=4, seed=1, checkpoint=worker.latest, attempt=2)
    assert figures(worker) == figures(trained)[EPOCHS : 2 * EPOCHS]


def test_all_images_go_on_from_a_checkpoint_to_the_same_model(
    trained: Worker, dataset: Dataset, tmp_path: Path
) -> None:
    worker, last = Worker(dataset, tmp_path, PARAMS, EPOCHS), EPOCHS * PARTS + 2
    place: dict[str, Any] = {"start": 9, "stop": 12, "before": 9, "last": last}
    assert not worker.run(lambda event: isinstance(event, EpochEnded), **place).over
    worker.cache = WorkerCache()
    assert worker.run(**place | {"start": 10}, checkpoint=worker.latest, attempt=2).over
    assert worker.weights() == trained.weights()


def test_a_fold_that_no_longer_improves_ends_early_and_all_images_do_not(
    dataset: Dataset, tmp_path: Path
) -> None:
    unsteady: Params = PARAMS | {"patience": 1, "learning_rate": 1.0}
    worker = Worker(dataset, tmp_path, unsteady, 30)
    ended = worker.run(start=30, stop=60, before=30, fold=1)
    assert not ended.over
    assert ended.epoch == 60
    assert 31 < epochs_of(worker)[-1].epoch < 60
    assert ended.evaluations[0].fold == 1
    worker.told.clear()
    assert worker.run(start=90, stop=120, before=90, last=110).over
    assert epochs_of(worker)[-1].epoch == 110


def test_a_fold_that_is_streamed_is_the_same(trained: Worker, dataset: Dataset, tmp_path: Path) -> None:
    worker = Worker(dataset, tmp_path, PARAMS, EPOCHS)
    worker.cache = WorkerCache(data_memory=0)
    run_fold(worker, 2, seed=2)
    assert figures(worker) == figures(trained)[2 * EPOCHS : 3 * EPOCHS]
    assert isinstance(worker.cache._fold[2].validation, ChosenImages)  # type: ignore[index]


@pytest.mark.slow
def test_folds_share_the_features_of_all_images(dataset: Dataset, tmp_path: Path) -> None:
    params = complete({"family": "pretrained", "image_size": 32, "views": 2, "batch_size": 16})
    worker = Worker(dataset, tmp_path, params, EPOCHS)
    for fold in range(PARTS):
        run_fold(worker, fold)
    run_fold(worker, None, last=EPOCHS * PARTS + 1)
    (ready,) = worker.of_kind(FeaturesReady)
    assert isinstance(ready, FeaturesReady)
    assert ready.computed == 2 * dataset.counts["train"]
    assert len(worker.cache.programs) == 1
    again = Worker(replace(dataset), tmp_path / "again", params, EPOCHS)
    again.cache = WorkerCache(data_memory=0)
    run_fold(again, 1)
    assert figures(again) == figures(worker)[EPOCHS : 2 * EPOCHS]
