"""Whatever the test images are, training comes to the same bits: no worker looks at one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.data.prepare import prepare
from harness.data.sealed import open_sealed
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.parameters import complete
from harness.paths.prepared import images_file, sealed_name
from harness.records import CheckpointSaved, Dataset, ModelSaved, Params
from tests.train.one_worker import Worker

EPOCHS = 2
FAMILIES: dict[str, Params] = {
    "pixels": complete({"depth": 1, "width": 4, "scaling": "standardise", "augmentation": "shift"}),
    "features": complete({"family": "pretrained", "image_size": 32, "head_width": 8, "views": 2}),
}


def prepared(cache: Path) -> Dataset:
    config = DatasetConfig(source="digits", limit_train=80)
    return prepare(config, seed=0, progress=lambda *_: None, cache=cache)


def poisoned(dataset: Dataset) -> Dataset:
    """The same data with noise in the place of every test image, without the file that says which they are.

    They stand in the same array as the images that are trained on.
    """
    images, _ = open_sealed(dataset)
    pool = np.load(images_file(Path(dataset.folder), "train"), mmap_mode="r+")
    pool[images.indices] = np.random.default_rng(1).integers(0, 256, (len(images), *dataset.image_shape))
    pool.flush()
    (Path(dataset.folder) / sealed_name(dataset.split)).unlink()
    return dataset


@pytest.mark.slow
@pytest.mark.parametrize("params", FAMILIES.values(), ids=FAMILIES)
def test_other_test_images_change_no_bit(params: Params, tmp_path: Path) -> None:
    workers = [
        Worker(dataset, tmp_path / name, params, EPOCHS)
        for name, dataset in (
            ("one", prepared(tmp_path / "cache-1")),
            ("other", poisoned(prepared(tmp_path / "cache-2"))),
        )
    ]
    told = []
    for worker in workers:
        ended = worker.run()
        (checkpoint,) = worker.of_kind(CheckpointSaved)
        assert isinstance(checkpoint, CheckpointSaved)
        assert [one.split for one in ended.evaluations] == ["validation"]
        told.append((worker.numbers(), worker.weights(), checkpoint.checkpoint.sha256, ended.evaluations))
    assert told[0] == told[1]
    assert workers[0].of_kind(ModelSaved)
