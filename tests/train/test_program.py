"""A compiled program gives the same numbers however warm it is, and the numbers Keras would give."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from harness.experiment.parameters import AUGMENTATIONS, LEARNING_RATES, OPTIMIZERS, complete
from harness.model.families import FAMILIES
from harness.model.network import build
from harness.model.preprocessing import PixelStatistics
from harness.records import Params
from harness.seeds import seed_from
from harness.train import program as program_module
from harness.train.batching import shuffled_batches
from harness.train.images import Chunk
from harness.train.packing import as_fed
from harness.train.program import Program

SHAPE = (8, 8, 1)
CLASSES = 10
STATISTICS = PixelStatistics((70.0,), (90.0,))


def params(**changes: Any) -> Params:
    return complete({"family": "cnn", "depth": 2, "width": 8, "batch_size": 32, **changes})


@pytest.fixture(scope="module")
def digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    from sklearn.datasets import load_digits

    data = load_digits()
    return np.round(data.images * 255 / 16).astype(np.uint8)[..., None], data.target.astype(np.int32)


def train(program: Program, chosen: Params, images: Any, labels: Any, epochs: range) -> list[float]:
    losses = []
    for epoch in epochs:
        order = shuffled_batches(len(images), int(chosen["batch_size"]), 5, epoch)
        rates = np.full(len(order), float(chosen["learning_rate"]), np.float32)
        totals = program.train_epoch(
            [Chunk(as_fed(images), labels, order)], rates, seed_from(5, epoch), chosen
        )
        losses.append(totals.loss)
    return losses


SMALL = {"image_size": 32}
"""Where a family resizes images: to no more than is needed."""
CONFIGURATIONS = [
    {"dropout": 0.3, "augmentation": "strong", "optimizer": "adam", "l2": 1e-3},
    {"dropout": 0.2, "batch_norm": False, "head": "flatten", "optimizer": "momentum", "l1": 1e-5},
    {"family": "baseline", "optimizer": "rmsprop", "label_smoothing": 0.1, "weight_decay": 1e-3},
    {
        "family": "resnet",
        "width": 4,
        "stages": 2,
        "depth": 1,
        "dropout": 0.2,
        "optimizer": "lion",
        "ema": 0.9,
    },
    {"family": "rnn", "dropout": 0.2, "optimizer": "adamw", "mixing": "cutmix", "clip_norm": 1.0},
    {"family": "rnn", "cell": "lstm", "bidirectional": False, "balance": "focal", "optimizer": "nesterov"},
]


@pytest.mark.slow
@pytest.mark.parametrize("changes", CONFIGURATIONS)
def test_a_warm_program_repeats_a_fresh_one_to_the_last_bit(changes: Params, digits: Any) -> None:
    """After another configuration's training, and when split in two at a checkpoint."""
    images, labels = digits[0][:256], digits[1][:256]
    chosen = params(**changes)
    fresh = Program(chosen, SHAPE, CLASSES, STATISTICS)
    fresh.reset(1, float(chosen["dropout"]))
    expected = train(fresh, chosen, images, labels, range(1, 5))
    expected_weights = fresh.network.get_weights()

    other = chosen | {"learning_rate": 0.5, "dropout": 0.7}
    fresh.reset(99, 0.7)
    train(fresh, other, images, labels, range(1, 3))
    fresh.reset(1, float(chosen["dropout"]))
    first_half = train(fresh, chosen, images, labels, range(1, 3))
    state = fresh.state()

    elsewhere = Program(chosen, SHAPE, CLASSES, STATISTICS)
    elsewhere.reset(1, float(chosen["dropout"]))
    elsewhere.restore(state)
    second_half = train(elsewhere, chosen, images, labels, range(3, 5))

    assert first_half + second_half == expected
    for mine, theirs in zip(elsewhere.network.get_weights(), expected_weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("parts", [2, 3])
def test_a_batch_in_parts_has_the_gradients_of_the_whole(parts: int, digits: Any) -> None:
    """Where nothing looks at the batch as such: no dropout, no batch normalisation, no augmentation."""
    images, labels = digits[0][:250], digits[1][:250]
    chosen = params(batch_norm=False, optimizer="adam", batch_size=50, clip_norm=1.0, l2=1e-4)
    losses, weights = [], []
    for microbatches in (1, parts):
        program = Program(chosen, SHAPE, CLASSES, STATISTICS, microbatches=microbatches)
        program.reset(3, 0.0)
        losses.append(train(program, chosen, images, labels, range(1, 4)))
        weights.append(program.network.get_weights())
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    for whole, pieces in zip(*weights, strict=True):
        np.testing.assert_allclose(whole, pieces, atol=1e-3)


@pytest.mark.slow
def test_numbers_never_trace_anew(digits: Any) -> None:
    images, labels = digits[0][:128], digits[1][:128]
    chosen = params(dropout=0.3, l2=1e-3, augmentation="shift")
    program = Program(chosen, SHAPE, CLASSES, STATISTICS)
    for index in range(4):
        changed = chosen | {"learning_rate": 10.0**-index, "l2": 1e-5 * index, "augmentation_strength": 0.1}
        program.reset(index, 0.1 * index)
        train(program, changed, images, labels, range(1, 2))
        program.predict(images)
    assert program._train.experimental_get_tracing_count() == 1
    assert program._predict.experimental_get_tracing_count() == 1


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"])
def test_an_epoch_is_what_plain_keras_does(optimizer: str, digits: Any) -> None:
    """Without dropout and augmentation: `train_on_batch` over the same batches gives the same weights."""
    images, labels = digits[0][:256], digits[1][:256]
    chosen = params(family="baseline", optimizer=optimizer, learning_rate=1e-3)
    program = Program(chosen, SHAPE, CLASSES, STATISTICS)
    program.reset(3, 0.0)

    plain = build(chosen, SHAPE, CLASSES, STATISTICS)
    plain.set_weights(program.network.get_weights())
    stock = {
        "sgd": keras.optimizers.SGD(1e-3),
        "momentum": keras.optimizers.SGD(1e-3, momentum=0.9),
        "nesterov": keras.optimizers.SGD(1e-3, momentum=0.9, nesterov=True),
        "adagrad": keras.optimizers.Adagrad(1e-3),
        "rmsprop": keras.optimizers.RMSprop(1e-3),
        "adam": keras.optimizers.Adam(1e-3),
    }[optimizer]
    plain.compile(stock, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for chosen_images in shuffled_batches(256, 32, 5, 1):
        plain.train_on_batch(images[chosen_images].astype(np.float32), labels[chosen_images])

    train(program, chosen, images, labels, range(1, 2))
    for mine, theirs in zip(program.network.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5)


@pytest.mark.slow
def test_l1_l2_and_weight_decay_are_their_definitions(digits: Any) -> None:
    """One step of plain SGD on one batch, against gradients written out by hand."""
    images, labels = digits[0][:32], digits[1][:32]
    chosen = params(family="baseline", optimizer="sgd", learning_rate=0.1, l1=0.01, l2=0.02, weight_decay=0.3)
    program = Program(chosen, SHAPE, CLASSES, STATISTICS)
    program.reset(3, 0.0)
    before = program.network.get_weights()
    variables = [variable.value for variable in program.network.trainable_variables]
    with tf.GradientTape() as tape:
        logits = program.network(images.astype(np.float32))
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        for variable in variables:
            if len(variable.shape) > 1:
                loss += 0.01 * tf.reduce_sum(tf.abs(variable)) + 0.02 * tf.reduce_sum(variable**2)
    gradients = tape.gradient(loss, variables)
    order = np.arange(32, dtype=np.int32)[None, :]
    program.train_epoch([Chunk(images, labels, order)], np.array([0.1], np.float32), 1, chosen)
    for old, gradient, new in zip(before, gradients, program.network.get_weights(), strict=True):
        decayed = old * (1 - 0.1 * 0.3) if old.ndim > 1 else old
        np.testing.assert_allclose(new, decayed - 0.1 * gradient.numpy(), atol=1e-6)


@pytest.mark.slow
def test_another_seed_gives_other_weights() -> None:
    program = Program(params(), SHAPE, CLASSES, STATISTICS)
    program.reset(1, 0.1)
    first = program.network.get_weights()
    program.reset(2, 0.1)
    second = program.network.get_weights()
    assert not np.array_equal(first[0], second[0])
    program.reset(1, 0.1)
    for mine, theirs in zip(program.network.get_weights(), first, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_training_with_every_augmentation_learns(augmentation: str, digits: Any) -> None:
    images, labels = digits[0][:512], digits[1][:512]
    chosen = params(augmentation=augmentation, augmentation_strength=0.2, learning_rate=5e-3)
    program = Program(chosen, SHAPE, CLASSES, STATISTICS)
    program.reset(1, float(chosen["dropout"]))
    losses = train(program, chosen, images, labels, range(1, 4))
    assert losses[2] < losses[0]
    assert np.isfinite(losses).all()


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_optimizer_trains_every_family(family: str, optimizer: str, digits: Any) -> None:
    """With the default learning rate the loss falls over three epochs."""
    images, labels = digits[0][:512], digits[1][:512]
    chosen = complete(
        {"family": family, "optimizer": optimizer, "depth": 1, "width": 16, "stages": 2, **SMALL}
    )
    assert chosen["learning_rate"] == LEARNING_RATES[optimizer].default
    program = Program(chosen, SHAPE, CLASSES, STATISTICS)
    program.reset(1, float(chosen["dropout"]))
    losses = train(program, chosen, images, labels, range(1, 4))
    assert losses[2] < losses[0]
    assert np.isfinite(losses).all()


@pytest.mark.slow
def test_averaged_weights_are_a_moving_average(digits: Any) -> None:
    """By hand over the steps of an epoch, with the young average's shorter memory."""
    images, labels = digits[0][:96], digits[1][:96]
    chosen = params(family="baseline", optimizer="sgd", learning_rate=0.05, ema=0.9, batch_size=32)
    program = Program(chosen, SHAPE, CLASSES, STATISTICS)
    program.reset(3, 0.0)
    by_hand = program.network.get_weights()
    for step in range(3):
        order = np.arange(32 * step, 32 * step + 32, dtype=np.int32)[None, :]
        program.train_epoch([Chunk(images, labels, order)], np.array([0.05], np.float32), 1, chosen)
        decay = min(0.9, (2 + step) / (11 + step))
        weights = program.network.get_weights()
        by_hand = [decay * mean + (1 - decay) * now for mean, now in zip(by_hand, weights, strict=True)]
    trained = program.network.get_weights()
    with program.averaged():
        for found, expected in zip(program.network.get_weights(), by_hand, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-6)
    for found, expected in zip(program.network.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_class_weights_focal_loss_and_clipping_are_their_definitions(digits: Any) -> None:
    """The loss of one batch before any step, and the length of the step after it."""
    images, labels = digits[0][:64], digits[1][:64]
    weights = np.linspace(0.5, 2, CLASSES).astype(np.float32)
    order = np.arange(64, dtype=np.int32)[None, :]
    rate = np.array([1.0], np.float32)
    for balance in ("class_weights", "focal"):
        chosen = params(
            family="baseline",
            optimizer="sgd",
            balance=balance,
            focal_gamma=1.5,
            clip_norm=0.01,
            batch_size=64,
        )
        program = Program(chosen, SHAPE, CLASSES, STATISTICS)
        program.reset(3, 0.0)
        before = program.network.get_weights()
        logits = program.predict(images).astype(np.float64)
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        given = probabilities[np.arange(64), labels]
        factor = (1 - given) ** 1.5 if balance == "focal" else 1.0
        totals = program.train_epoch([Chunk(images, labels, order)], rate, 1, chosen, weights)
        assert totals.loss == pytest.approx(np.mean(-np.log(given) * factor * weights[labels]), rel=1e-5)
        after = program.network.get_weights()
        length = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(before, after, strict=True)))
        assert length == pytest.approx(0.01, rel=1e-3)


def test_in_bfloat16_weights_and_predictions_are_float32_and_the_state_is_interchangeable(
    digits: Any,
) -> None:
    images, labels = digits
    chosen = params(dropout=0.2, batch_norm=True, ema=0.9)
    plain = Program(chosen, SHAPE, CLASSES, STATISTICS)
    mixed = Program(chosen, SHAPE, CLASSES, STATISTICS, precision="bfloat16")
    for program in (plain, mixed):
        program.reset(3, dropout=0.2)
    assert mixed.network.layers[-1].compute_dtype == "bfloat16"
    assert plain.state().keys() == mixed.state().keys()
    assert all(np.array_equal(one, mixed.state()[name]) for name, one in plain.state().items())
    expected = train(plain, chosen, images, labels, range(1, 4))
    found = train(mixed, chosen, images, labels, range(1, 4))
    assert found != expected
    assert found == pytest.approx(expected, rel=0.1)
    state = mixed.state()
    weights = [array for name, array in state.items() if name.startswith("weights/")]
    assert len(weights) == len(mixed.network.weights)
    assert {array.dtype for array in weights} == {np.dtype(np.float32)}
    plain.restore(state)
    assert np.array_equal(mixed.predict(images), plain.predict(images))
    with mixed.averaged(), plain.averaged():
        assert np.array_equal(mixed.predict(images), plain.predict(images))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_state_that_was_read_does_not_change_with_the_training(digits: Any, optimizer: str) -> None:
    images, labels = digits
    chosen = params(optimizer=optimizer, batch_norm=True, ema=0.9, clip_norm=1.0, weight_decay=1e-3)
    program = Program(chosen, SHAPE, CLASSES, STATISTICS)
    program.reset(3, dropout=0.2)
    train(program, chosen, images, labels, range(1, 2))
    state = program.state()
    copies = {name: array.copy() for name, array in state.items()}
    train(program, chosen, images, labels, range(2, 3))
    program.reset(4, dropout=0.2)
    assert all(np.array_equal(state[name], copy) for name, copy in copies.items())
    program.restore(state)
    again = program.state()
    assert again.keys() == copies.keys()
    train(program, chosen, images, labels, range(2, 3))
    assert all(np.array_equal(again[name], copy) for name, copy in copies.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"augmentation": "strong", "mixing": "cutmix", "dropout": 0.2, "optimizer": "adamw", "ema": 0.9},
        {"augmentation": "strong", "family": "resnet", "width": 4, "stages": 2, "depth": 1, "clip_norm": 1.0},
        {"family": "rnn", "width": 4, "depth": 1, "dropout": 0.2, "optimizer": "lion"},
        {"family": "baseline", "optimizer": "rmsprop", "balance": "focal", "l1": 1e-5, "weight_decay": 1e-3},
    ],
)
def test_as_on_a_gpu_the_step_is_compiled_by_xla_and_trains_the_same(
    digits: Any, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = digits[0][:320], digits[1][:320]
    chosen = params(**changes)
    losses = []
    for devices in ([], ["a GPU"]):
        with monkeypatch.context() as patched:
            patched.setattr(tf.config, "list_physical_devices", lambda _, found=devices: found)
            program = Program(chosen, SHAPE, CLASSES, STATISTICS, microbatches=1 + len(devices))
            program.reset(3, dropout=float(chosen["dropout"]))
            losses.append(train(program, chosen, images, labels, range(1, 3)))
    # Halves of a batch have dropout of their own, so that only without it are the numbers the same.
    assert losses[1] == pytest.approx(losses[0], rel=0.2 if float(chosen["dropout"]) else 0.02)


def test_images_too_large_for_memory_are_predicted_in_smaller_parts(
    digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = digits[0][:100]
    whole = Program(params(), SHAPE, CLASSES, STATISTICS)
    whole.reset(seed=1, dropout=0.0)
    monkeypatch.setattr(program_module, "EVALUATION_BYTES", {"CPU": 100_000, "GPU": 100_000})
    parted = Program(params(), SHAPE, CLASSES, STATISTICS)
    parted.reset(seed=1, dropout=0.0)
    sizes: list[int] = []
    predict = parted._predict
    monkeypatch.setattr(parted, "_predict", lambda part: sizes.append(len(part)) or predict(part))
    np.testing.assert_allclose(parted.predict(images), whole.predict(images), rtol=1e-4, atol=1e-5)
    assert sum(sizes) == len(images)
    assert 1 < len(sizes) < len(images)
