"""First the head, then the last blocks of the backbone too: what carries over, what is trained, how fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.keys import program_key
from harness.experiment.parameters import complete, in_epoch
from harness.model.network import build, unfrozen_blocks
from harness.model.optimizers import OPTIMIZERS
from harness.model.preprocessing import PixelStatistics
from harness.records import (
    CheckpointDamaged,
    Dataset,
    EpochEnded,
    FeaturesReady,
    ModelSaved,
    Params,
    Pulse,
)
from harness.seeds import seed_from
from harness.study_files import study_files
from harness.train import pulses
from harness.train.body import FrozenBody
from harness.train.checkpoint import load
from harness.train.images import Chunk
from harness.train.program import Program
from harness.train.state import UnfitError
from harness.train.update_rule import RATE_DECAY
from harness.train.worker_cache import WorkerCache
from tests.train.one_worker import Worker

pytestmark = pytest.mark.slow

SHAPE = (8, 8, 1)
CLASSES = 10
STATISTICS = PixelStatistics((70.0,), (90.0,))
EPOCHS, UNFREEZE_AT = 4, 2


def params(**changes: Any) -> Params:
    return complete(
        {
            "family": "pretrained", "image_size": 32, "views": 1, "batch_size": 20, "dropout": 0.2,
            "ema": 0.9, "augmentation": "shift", "unfreeze": 2, **changes,
        }
    )  # fmt: skip


TUNED = params()
HEAD = in_epoch(TUNED, 1, UNFREEZE_AT)


@pytest.fixture(scope="module")
def body() -> FrozenBody:
    """EfficientNet-Lite0 with its real weights, on digits."""
    return FrozenBody(TUNED, SHAPE)


@pytest.fixture(scope="module")
def digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    from sklearn.datasets import load_digits

    data = load_digits()
    return np.round(data.images[:40] * 255 / 16).astype(np.uint8)[..., None], data.target[:40].astype(
        np.int32
    )


def program(body: FrozenBody, chosen: Params, **more: Any) -> Program:
    return Program(chosen, SHAPE, CLASSES, STATISTICS, body=body, **more)


def train(own: Program, chosen: Params, images: Any, labels: Any, rate: float = 1e-3, steps: int = 2) -> None:
    order = np.arange(20 * steps, dtype=np.int32).reshape(steps, 20)
    rates = np.full(steps, rate, np.float32)
    own.train_epoch([Chunk(images, labels, order)], rates, seed_from(5, 1), chosen)


def of_layers(network: keras.Model) -> dict[str, list[npt.NDArray[Any]]]:
    return {layer.name: layer.get_weights() for layer in network.layers if layer.weights}


def equal(one: list[npt.NDArray[Any]], other: list[npt.NDArray[Any]]) -> bool:
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def test_the_head_carries_over_and_only_what_is_unfrozen_changes(body: FrozenBody, digits: Any) -> None:
    images, labels = digits
    probe, whole = program(body, HEAD), program(body, TUNED)
    probe.reset(1, 0.2)
    features = body.compute_one(images)
    train(probe, HEAD, features, labels, rate=0.05)
    state = probe.state()
    whole.reset(99, 0.2)
    whole.restore(state)
    np.testing.assert_allclose(whole.predict(images), probe.predict(features), atol=1e-4)
    with whole.averaged(), probe.averaged():
        np.testing.assert_allclose(whole.predict(images), probe.predict(features), atol=1e-4)
    assert all(np.array_equal(whole.state()[name], array) for name, array in state.items())

    before = of_layers(whole.network)
    train(whole, TUNED, images, labels)
    changed = {name for name, now in of_layers(whole.network).items() if not equal(now, before[name])}
    blocks = unfrozen_blocks(TUNED, SHAPE)
    assert len(blocks) == 2
    assert changed == {"logits", *(name for block in blocks for name in block)}
    assert not any(name.endswith("_bn") for name in changed)

    kept = {name.split("/")[1] for name in whole.state() if name.startswith("weights/")}
    assert kept == changed, "frozen weights are left out"
    trained = whole.state()
    with pytest.raises(UnfitError, match="weights/logits/kernel is missing"):
        whole.restore({name: one for name, one in trained.items() if name != "weights/logits/kernel"})
    whole.reset(1, 0.2)
    drawn = of_layers(whole.network)
    assert all(equal(drawn[layer.name], layer.get_weights()) for layer in body.model.layers if layer.weights)
    whole.restore(trained)
    assert all(np.array_equal(whole.state()[name], array) for name, array in trained.items())


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "nesterov"])
def test_the_rate_falls_from_block_to_block_as_plain_keras_does_it(
    body: FrozenBody, digits: Any, optimizer: str
) -> None:
    """With an optimizer for each block by hand, after a head that has gone some steps before."""
    images, labels = digits
    chosen = params(
        optimizer=optimizer, augmentation="none", dropout=0.0, ema=0.0, unfreeze_rate=0.2, unfreeze=3
    )
    probe, whole = program(body, in_epoch(chosen, 1, 1)), program(body, chosen)
    probe.reset(1, 0.0)
    train(probe, chosen, body.compute_one(images), labels)
    whole.reset(1, 0.0)
    whole.restore(probe.state())

    plain = build(chosen, SHAPE, CLASSES, STATISTICS)
    plain.set_weights(whole.network.get_weights())
    blocks = unfrozen_blocks(chosen, SHAPE)
    groups = [["logits"], *blocks]
    groups = [[weight for name in names for weight in plain.get_layer(name).weights] for names in groups]
    stock = [OPTIMIZERS[optimizer](chosen) for _ in groups]
    for one, weights in zip(stock, groups, strict=True):
        one.build(weights)
    for mine, theirs in zip(stock[0].variables, whole._groups[0].optimizer.variables, strict=True):
        mine.assign(theirs)
    assert int(stock[0].iterations) == 2
    for step in range(2):
        some = slice(20 * step, 20 * step + 20)
        with tf.GradientTape() as tape:
            logits = plain(images[some].astype(np.float32), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels[some], logits))
        gradients = tape.gradient(loss, [[weight.value for weight in weights] for weights in groups])
        for depth, one in enumerate(stock, -1):
            one.learning_rate.assign(1e-3 if depth < 0 else 1e-3 * 0.2 * RATE_DECAY**depth)
            one.apply(gradients[depth + 1])

    before = of_layers(whole.network)
    train(whole, chosen, images, labels)
    after = of_layers(whole.network)
    for name in ("logits", *(name for block in blocks for name in block)):
        for old, mine, theirs in zip(
            before[name], after[name], plain.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_allclose(
                mine - old, theirs - old, rtol=0.02, atol=0.02 * np.abs(mine - old).max()
            )


def test_penalties_and_decay_act_on_the_head_alone(body: FrozenBody, digits: Any) -> None:
    """At a rate of 0 for the backbone, nothing else may change it."""
    images, labels = digits
    chosen = params(unfreeze_rate=0.0, l1=0.1, l2=0.1, weight_decay=0.1, clip_norm=1.0, optimizer="sgd")
    own = program(body, chosen)
    own.reset(1, 0.2)
    before = of_layers(own.network)
    train(own, chosen, images, labels, rate=0.1)
    changed = {name for name, now in of_layers(own.network).items() if not equal(now, before[name])}
    assert changed == {"logits"}


@pytest.mark.slow
def test_in_bfloat16_and_in_parts_of_a_batch_the_whole_network_is_trained(
    body: FrozenBody, digits: Any
) -> None:
    images, labels = digits
    own = program(body, TUNED, precision="bfloat16", microbatches=2)
    own.reset(1, 0.2)
    assert own.network.get_layer("logits").compute_dtype == "bfloat16"
    train(own, TUNED, images, labels)
    state = own.state()
    assert {array.dtype for name, array in state.items() if name.startswith("weights/")} == {
        np.dtype("float32")
    }
    plain = program(body, TUNED)
    plain.reset(2, 0.2)
    plain.restore(state)
    np.testing.assert_allclose(own.predict(images), plain.predict(images), atol=1e-5)


def test_as_many_blocks_as_there_are_or_more_are_all() -> None:
    every = unfrozen_blocks(params(unfreeze=1000), SHAPE)
    assert every == unfrozen_blocks(params(unfreeze=len(every)), SHAPE)
    assert len(unfrozen_blocks(params(unfreeze=len(every) - 1), SHAPE)) == len(every) - 1
    assert unfrozen_blocks(params(unfreeze=0), SHAPE) == []
    assert every[0] == ["backbone_head_conv"]
    assert every[-1] == ["backbone_stem_conv"]


def test_the_phase_is_part_of_the_programs_key_and_the_first_is_that_of_a_head_alone() -> None:
    assert program_key(HEAD) == program_key(params(unfreeze=0, augmentation="none", unfreeze_rate=0.5))
    assert program_key(HEAD) != program_key(TUNED)
    assert in_epoch(TUNED, UNFREEZE_AT, UNFREEZE_AT) == HEAD
    assert in_epoch(TUNED, UNFREEZE_AT + 1, UNFREEZE_AT) == TUNED
    assert in_epoch(TUNED, 100, None) == HEAD
    assert program_key(TUNED) == program_key(params(unfreeze_rate=0.5))
    assert program_key(TUNED) != program_key(params(augmentation="none"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    cache = tmp_path_factory.mktemp("cache")
    return prepare(DatasetConfig(limit_train=100), seed=0, progress=lambda *_: None, cache=cache)


@pytest.fixture(scope="module")
def whole(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """A trial in one segment, in the middle of which the backbone is unfrozen."""
    worker = Worker(dataset, tmp_path_factory.mktemp("whole"), TUNED, EPOCHS)
    assert worker.run(unfreeze_at=UNFREEZE_AT).over
    return worker


def test_until_it_is_unfrozen_numbers_are_those_of_the_head_alone(
    whole: Worker, dataset: Dataset, tmp_path: Path
) -> None:
    alone = Worker(dataset, tmp_path, params(unfreeze=0), EPOCHS)
    alone.run(unfreeze_at=UNFREEZE_AT)
    assert whole.numbers()[:UNFREEZE_AT] == alone.numbers()[:UNFREEZE_AT]
    assert whole.numbers()[UNFREEZE_AT:] != alone.numbers()[UNFREEZE_AT:]
    assert len(whole.numbers()) == EPOCHS
    assert len(whole.of_kind(FeaturesReady)) == 1


def test_the_saved_model_is_whole_with_the_trials_own_weights(whole: Worker, body: FrozenBody) -> None:
    (saved,) = whole.of_kind(ModelSaved)
    assert isinstance(saved, ModelSaved)
    file = whole.folder / saved.file
    model = keras.saving.load_model(file, safe_mode=True)
    with np.load(file.with_name("reference.npz")) as reference:
        images = whole.cache.open(whole.dataset).on_disk("validation")[0][reference["indices"]]
        np.testing.assert_allclose(
            model.predict(images.astype(np.float32), verbose=0), reference["probabilities"], atol=1e-5
        )
    unfrozen = {name for block in unfrozen_blocks(TUNED, SHAPE) for name in block}
    found = of_layers(model)
    for layer in body.model.layers:
        if layer.weights:
            assert equal(found[layer.name], layer.get_weights()) == (layer.name not in unfrozen)


@pytest.mark.slow
@pytest.mark.parametrize("fresh", [True, False], ids=["another worker", "the same worker"])
def test_a_promotion_unfreezes_it_to_the_same_numbers(
    whole: Worker, dataset: Dataset, tmp_path: Path, fresh: bool
) -> None:
    """One segment for each phase."""
    worker = Worker(dataset, tmp_path, TUNED, EPOCHS)
    worker.run(stop=UNFREEZE_AT, unfreeze_at=UNFREEZE_AT)
    if fresh:
        worker.cache = WorkerCache()
    worker.run(start=UNFREEZE_AT, checkpoint=worker.latest, attempt=2, unfreeze_at=UNFREEZE_AT)
    assert worker.numbers() == whole.numbers()
    assert worker.weights() == whole.weights()


@pytest.mark.parametrize("epoch", [UNFREEZE_AT, UNFREEZE_AT + 1])
def test_a_trial_that_is_stopped_within_an_epoch_of_either_phase_goes_on_to_the_last_bit(
    whole: Worker, dataset: Dataset, tmp_path: Path, epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulses, "PULSE_SECONDS", 0.0)
    monkeypatch.setattr(pulses, "QUIET_SECONDS", 0.0)
    worker = Worker(dataset, tmp_path, TUNED, EPOCHS)
    ended = worker.run(
        lambda one: isinstance(one, Pulse) and (one.phase, one.epoch) == ("training", epoch),
        unfreeze_at=UNFREEZE_AT,
    )
    assert ended.epoch == epoch - 1
    worker.cache = WorkerCache()
    losses = tuple(one.metrics["val_loss"] for one in worker.told if isinstance(one, EpochEnded))
    worker.run(
        attempt=2, start=epoch - 1, checkpoint=worker.latest, past_losses=losses, unfreeze_at=UNFREEZE_AT
    )
    assert worker.numbers() == whole.numbers()
    assert worker.weights() == whole.weights()


@pytest.mark.slow
def test_from_a_damaged_checkpoint_it_goes_back_to_the_head(
    whole: Worker, dataset: Dataset, tmp_path: Path
) -> None:
    worker = Worker(dataset, tmp_path, TUNED, EPOCHS)
    worker.run(stop=UNFREEZE_AT - 1, unfreeze_at=UNFREEZE_AT)
    earlier = worker.latest
    worker.run(start=1, stop=UNFREEZE_AT, checkpoint=earlier, unfreeze_at=UNFREEZE_AT)
    latest = worker.latest
    assert latest is not None
    assert earlier is not None
    files = study_files(tmp_path)
    state = load(files, latest, [])
    assert not any("backbone" in name for name in state)
    files.write(latest.file, lambda local: local.write_bytes(b"harness checkpoint 2\n{}\n"))
    worker.cache, worker.told = WorkerCache(), []
    worker.run(start=2, checkpoint=latest, earlier_checkpoint=earlier, attempt=2, unfreeze_at=UNFREEZE_AT)
    assert len(worker.of_kind(CheckpointDamaged)) == 1
    assert worker.numbers() == whole.numbers()[1:]
    assert worker.weights() == whole.weights()
