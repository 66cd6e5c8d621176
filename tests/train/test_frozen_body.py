"""Heads on features that were computed once are trained as on the whole network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copy
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from harness.data.arrays import Arrays, load
from harness.data.prepare import prepare
from harness.errors import PretrainedError
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.parameters import complete
from harness.model.families import FAMILIES
from harness.model.preprocessing import PixelStatistics
from harness.records import Dataset, Question
from harness.train.batching import batch_indices, in_views
from harness.train.body import BATCH, FrozenBody
from harness.train.features import cached_features, features_of
from harness.train.images import Room, split_features, split_images
from harness.train.metrics import summary
from harness.train.program import Program
from harness.train.pulses import unheard
from harness.train.questions import answer

PARAMS = complete(
    {"family": "pretrained", "image_size": 32, "head_width": 16, "dropout": 0.2, "views": 1, "batch_size": 32}
)
STATISTICS = PixelStatistics((70.0,), (90.0,))


@pytest.fixture(scope="module")
def body() -> FrozenBody:
    """EfficientNet-Lite0 with its real weights, on digits."""
    return FrozenBody(PARAMS, (8, 8, 1))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    config = DatasetConfig(source="digits", limit_train=200)
    return prepare(config, seed=0, progress=lambda *_: None, cache=tmp_path / "cache")


@pytest.fixture
def arrays(dataset: Dataset) -> Arrays:
    return load(dataset)


@pytest.mark.slow
def test_cached_features_train_a_head_as_the_whole_network_trains_it(
    body: FrozenBody, arrays: Arrays
) -> None:
    """Validation loss within 1e-3 after every epoch, at most one image classified differently."""
    train, validation, _ = cached_features(arrays, body, 1, unheard)
    fed = {
        "features": split_features(train, validation, arrays, Room(1 << 30)),
        "pixels": split_images(arrays, Room(1 << 30)),
    }
    programs = {
        "features": Program(PARAMS, (8, 8, 1), 10, STATISTICS, body=body),
        "pixels": Program(PARAMS, (8, 8, 1), 10, STATISTICS),
    }
    pretrained = FAMILIES["pretrained"].body
    assert pretrained is not None
    for program in programs.values():
        program.reset(3, dropout=0.2)
    pretrained.load(programs["pixels"].network, PARAMS)
    for layer in programs["features"].network.layers:
        if layer.weights:
            programs["pixels"].network.get_layer(layer.name).set_weights(layer.get_weights())
    labels = fed["pixels"].validation_labels
    for epoch in (1, 2, 3):
        order = batch_indices(fed["pixels"].train_labels, PARAMS, 5, epoch)
        rates = np.full(len(order), 2e-3, np.float32)
        logits = {}
        for name, program in programs.items():
            program.train_epoch(fed[name].train.chunks(order), rates, epoch, PARAMS)
            logits[name] = program.predict(fed[name].validation)
        losses = {name: summary(found, labels)["loss"] for name, found in logits.items()}
        assert losses["features"] == pytest.approx(losses["pixels"], abs=1e-3)
        different = np.argmax(logits["features"], 1) != np.argmax(logits["pixels"], 1)
        assert np.count_nonzero(different) <= 1


def test_what_is_computed_is_kept_and_test_images_are_left_out(body: FrozenBody, arrays: Arrays) -> None:
    """Ended in the middle, and gone on with: nothing is computed twice but for the block that was begun."""
    training, validating = len(arrays.on_disk("train")[1]), len(arrays.on_disk("validation")[1])
    wanted = 2 * training + validating
    beats = []

    def interrupted(share: float) -> None:
        beats.append(share)
        if len(beats) == 8:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        cached_features(arrays, body, 2, interrupted)
    train, validation, computed = cached_features(arrays, body, 2, beats.append)
    assert wanted - 8 * BATCH <= computed < wanted
    assert beats[8:] == sorted(beats[8:])
    assert beats[-1] == 1
    assert cached_features(arrays, body, 2, unheard)[2] == 0
    images = arrays.on_disk("train")[0]
    np.testing.assert_array_equal(train[:training], features_of(images, body, unheard))
    np.testing.assert_array_equal(validation[:], features_of(arrays.on_disk("validation")[0], body, unheard))
    computed_rows = sum(
        int(np.isfinite(np.load(file)[:, 0]).sum()) for file in arrays.folder.glob("features/*/train-0/*.npy")
    )
    assert computed_rows == training + validating, "held-out test images come from the same pool"


def test_two_workers_share_the_work(body: FrozenBody, arrays: Arrays) -> None:
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda _: cached_features(arrays, body, 2, unheard), range(2)))
    wanted = 2 * len(arrays.on_disk("train")[1]) + len(arrays.on_disk("validation")[1])
    assert sum(computed for _, _, computed in found) == wanted
    assert all(computed > 0 for _, _, computed in found)
    np.testing.assert_array_equal(found[0][0][:], found[1][0][:])


def test_views_are_the_mirror_image_and_random_changes_of_the_image_itself(body: FrozenBody) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    rows = np.array([3, 70, 4, 9, 1])
    np.testing.assert_array_equal(body.compute(images, rows, 1), body.compute(images[:, :, ::-1], rows, 0))
    changed = body.compute(images, rows, 2)
    alone = [body.compute(images[i : i + 1], rows[i : i + 1], 2) for i in range(5)]
    np.testing.assert_array_equal(changed, np.concatenate(alone))
    assert not np.array_equal(changed, body.compute(images, rows, 3))


def test_another_network_size_or_shape_of_images_makes_other_features(body: FrozenBody) -> None:
    keys = {
        FrozenBody(PARAMS | changes, shape).key
        for changes, shape in (
            ({}, (8, 8, 1)),
            ({"image_size": 48}, (8, 8, 1)),
            ({}, (8, 6, 1)),
        )
    }
    assert len(keys) == 3
    assert body.key in keys
    assert body.digest("data", 1) != body.digest("data", 2) != body.digest("other", 2)


def own_model(file: str, units: float = 0.5) -> str:
    """A small model; equal `units` make equal features, but not equal files: Keras names layers anew."""
    pixels = keras.Input((8, 8, 3))
    kernel = keras.initializers.Constant(units)
    x = keras.layers.Dense(4, kernel_initializer=kernel)(keras.layers.Flatten()(pixels))
    keras.Model(pixels, keras.layers.Dense(2, name="last")(x)).save(file)
    return file


def test_a_model_of_ones_own_is_the_same_under_another_path() -> None:
    Path("folder").mkdir()
    copy(own_model("first.keras"), "folder/second.keras")
    copy("first.keras", "folder/model.keras")
    own_model("other.keras", 0.25)
    keys = [
        FrozenBody(PARAMS | {"backbone": path}, (8, 8, 3)).key
        for path in ("first.keras", "./first.keras", "folder/second.keras", "./folder", "other.keras")
    ]
    assert len(set(keys[:4])) == 1
    assert keys[4] != keys[0]


def test_other_weights_than_the_study_began_with_are_refused() -> None:
    path = str(Path(own_model("first.keras")).resolve())
    params = PARAMS | {"backbone": path}
    recorded = answer(Question(name="weights", arguments={"params": params}))
    assert recorded.error is None
    assert FrozenBody(params, (8, 8, 3), recorded.said).key == FrozenBody(params, (8, 8, 3)).key
    own_model("first.keras", 0.25)
    with pytest.raises(PretrainedError, match=f"{path} .*have changed since the study began"):
        FrozenBody(params, (8, 8, 3), recorded.said)


def test_features_have_all_digits_of_float32_on_any_device(
    body: FrozenBody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFloat-32, which GPUs use by default, is off while they are computed, and on again behind it."""
    config, run, seen = tf.config.experimental, body._run, []

    def watched(images: Any) -> Any:
        seen.append(config.tensor_float_32_execution_enabled())
        return run(images)

    monkeypatch.setattr(body, "_run", watched)
    before = config.tensor_float_32_execution_enabled()
    try:
        for chosen in (True, False):
            config.enable_tensor_float_32_execution(chosen)
            body.compute(np.zeros((1, 8, 8, 1), np.uint8), np.zeros(1, np.int64))
            assert config.tensor_float_32_execution_enabled() is chosen
    finally:
        config.enable_tensor_float_32_execution(before)
    assert seen == [False, False]


@pytest.mark.parametrize("views", [1, 2, 5])
def test_every_image_is_seen_once_an_epoch_in_one_of_its_views(views: int) -> None:
    order = batch_indices(np.zeros(40, np.int32), PARAMS, 1, 1)
    seen = in_views(order, 40, views, 1, 1)
    np.testing.assert_array_equal(seen % 40, order)
    assert set((seen // 40).ravel()) == set(range(views))
    np.testing.assert_array_equal(seen, in_views(order, 40, views, 1, 1))
    if views > 1:
        assert not np.array_equal(seen, in_views(order, 40, views, 1, 2))


def test_features_that_memory_does_not_hold_are_streamed(body: FrozenBody, arrays: Arrays) -> None:
    train, validation, _ = cached_features(arrays, body, 2, unheard)
    order = in_views(batch_indices(arrays.on_disk("train")[1], PARAMS, 1, 1), len(train) // 2, 2, 1, 1)

    def batches(resident_bytes: int) -> list[Any]:
        chunks = split_features(train, validation, arrays, Room(resident_bytes)).train.chunks(order)
        return [np.asarray(chunk.images)[chunk.indices] for chunk in chunks]

    np.testing.assert_array_equal(np.concatenate(batches(0)), np.concatenate(batches(1 << 30)))
