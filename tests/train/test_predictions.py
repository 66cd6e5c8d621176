"""What a worker leaves beside a model: its predictions for every validation image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import predictions as kept
from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.parameters import complete
from harness.predictions import read_predictions, softmax
from harness.records import Dataset, EpochEnded, ModelSaved
from harness.records.codec import event_from_dict
from harness.train.metrics import summary
from tests.train.one_worker import Worker

PARAMS = complete({"depth": 1, "width": 4, "ema": 0.9, "batch_size": 32})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    cache = tmp_path_factory.mktemp("cache")
    return prepare(DatasetConfig(limit_train=200), seed=0, progress=lambda *_: None, cache=cache)


def saved_by(worker: Worker) -> ModelSaved:
    assert worker.run().over
    (saved,) = worker.of_kind(ModelSaved)
    assert isinstance(saved, ModelSaved)
    return saved


def test_every_metric_of_the_last_epoch_comes_out_of_them_to_the_last_bit(
    dataset: Dataset, tmp_path: Path
) -> None:
    worker = Worker(dataset, tmp_path / "one", PARAMS, 2)
    saved = saved_by(worker)
    stored = read_predictions(worker.folder / saved.predictions, saved.predictions_sha256)
    assert stored is not None
    assert stored.logits.shape == (dataset.counts["validation"], len(dataset.classes))
    np.testing.assert_array_equal(stored.labels, load(dataset).on_disk("validation")[1])
    last = worker.of_kind(EpochEnded)[-1]
    assert isinstance(last, EpochEnded)
    for name, value in summary(stored.logits, stored.labels).items():
        assert last.metrics[f"val_{name}"] == value
    with np.load((worker.folder / saved.file).with_name("reference.npz")) as reference:
        rows = stored.logits[reference["indices"]]
        np.testing.assert_array_equal(softmax(rows), reference["probabilities"])
    again = Worker(dataset, tmp_path / "two", PARAMS, 2)
    assert saved_by(again).predictions_sha256 == saved.predictions_sha256


def test_those_of_another_file_are_not_read(dataset: Dataset, tmp_path: Path) -> None:
    worker = Worker(dataset, tmp_path, PARAMS, 1)
    saved = saved_by(worker)
    file = worker.folder / saved.predictions
    assert read_predictions(file, "0" * 64) is None
    assert read_predictions(file.with_name("missing.npz"), saved.predictions_sha256) is None


def test_what_is_too_large_or_not_there_is_not_kept(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST_BYTES", 100)
    saved = saved_by(Worker(dataset, tmp_path, PARAMS, 1))
    assert (saved.predictions, saved.predictions_sha256) == ("", "")
    assert not list((tmp_path / saved.file).parent.glob("validation*"))


def test_a_record_of_an_earlier_version_says_that_there_are_none(dataset: Dataset) -> None:
    values = {
        "trial": 0, "attempt": 1, "epoch": 2, "file": "m.keras", "sha256": "", "size": 1, "parameters": 3,
        "time": 4, "kind": "model_saved",
    }  # fmt: skip
    found = event_from_dict(values)
    assert isinstance(found, ModelSaved)
    assert replace(found, time=0).predictions == ""
