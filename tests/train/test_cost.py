"""Costs counted from a graph, against ones worked out by hand and against each family's own estimate."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from harness.experiment.keys import network_key
from harness.experiment.parameters import CATALOG, complete, multiply_adds
from harness.model.families import FAMILIES
from harness.records import Cost, Question
from harness.train.cost import network_cost
from harness.train.questions import answer

L = keras.layers


def model(shape: tuple[int, ...], *layers: keras.Layer) -> keras.Model:
    x = inputs = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    ("shape", "layer", "expected"),
    [
        # positions × window × channels × filters
        ((10, 12, 3), L.Conv2D(8, 3, padding="same"), 10 * 12 * 9 * 3 * 8),
        ((10, 12, 3), L.Conv2D(8, 3, strides=2, padding="valid"), 4 * 5 * 9 * 3 * 8),
        ((10, 12, 4), L.Conv2D(8, 3, padding="same", groups=2), 10 * 12 * 9 * 2 * 8),
        ((10, 12, 4), L.Conv2D(8, 3, padding="same", dilation_rate=2), 10 * 12 * 9 * 4 * 8),
        ((20, 5), L.Conv1D(6, 5, padding="causal"), 20 * 5 * 5 * 6),
        ((4, 4, 4, 2), L.Conv3D(3, 3, padding="same"), 64 * 27 * 2 * 3),
        ((10, 12, 4), L.DepthwiseConv2D(3, padding="same"), 10 * 12 * 9 * 4),
        ((10, 12, 4), L.DepthwiseConv2D(3, strides=2, depth_multiplier=2), 4 * 5 * 9 * 4 * 2),
        ((10, 12, 4), L.SeparableConv2D(8, 3, padding="same"), 10 * 12 * (9 * 4 + 4 * 8)),
        ((10, 12, 4), L.Conv2DTranspose(8, 3, strides=2, padding="same"), 10 * 12 * 9 * 4 * 8),
        ((7,), L.Dense(5), 7 * 5),
        ((6, 7), L.Dense(5), 6 * 7 * 5),
        ((6, 7), L.EinsumDense("abc,cd->abd", output_shape=(None, 5)), 6 * 7 * 5),
        ((6, 7), L.EinsumDense("abc,cde->abde", output_shape=(6, 2, 4)), 6 * 7 * 2 * 4),
        ((6, 7), L.TimeDistributed(L.Dense(5)), 6 * 7 * 5),
        # steps × gates × units × (inputs + units)
        ((6, 7), L.SimpleRNN(5), 6 * 1 * 5 * (7 + 5)),
        ((6, 7), L.GRU(5), 6 * 3 * 5 * (7 + 5)),
        ((6, 7), L.LSTM(5, return_sequences=True), 6 * 4 * 5 * (7 + 5)),
        ((6, 7), L.Bidirectional(L.LSTM(5)), 2 * 6 * 4 * 5 * (7 + 5)),
        ((6, 7), L.RNN([L.GRUCell(5), L.LSTMCell(3)]), 6 * (3 * 5 * (7 + 5) + 4 * 3 * (5 + 3))),
        ((6, 8, 8, 2), L.ConvLSTM2D(5, 3, padding="same"), 6 * 64 * 9 * 4 * 5 * (2 + 5)),
        ((10, 12, 3), L.MaxPooling2D(), 0),
        ((10, 12, 3), L.BatchNormalization(), 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_multiply_adds_of_a_layer(shape: tuple[int, ...], layer: keras.Layer, expected: int) -> None:
    network = model(shape, layer)
    found = network_cost(network)
    assert found.forward == expected
    # Nothing trainable is before it: only the weights need a gradient.
    assert found.backward == (expected if layer.trainable_weights else 0)
    assert found.written_bytes >= 4 * np.prod([length or 1 for length in network.output_shape[1:]])
    assert found.parameters == layer.count_params()


def test_gradients_are_counted_where_they_are_needed() -> None:
    """First layer: of its weights. Second: of its weights and its input. Frozen behind it: of its input."""
    network = model((8,), L.Dense(4), L.Dense(3), L.Dense(2))
    network.layers[-1].trainable = False
    found = network_cost(network)
    assert (found.forward, found.backward) == (32 + 12 + 6, 32 + 2 * 12 + 6)
    assert (found.parameters, found.trained) == (36 + 15 + 8, 36 + 15)


def test_a_frozen_beginning_needs_no_gradients_and_keeps_nothing() -> None:
    network = model((8, 8, 3), L.Conv2D(4, 3, padding="same"), L.Flatten(), L.Dense(2))
    network.layers[1].trainable = False
    found = network_cost(network)
    assert found.backward == 256 * 2
    assert (found.written_bytes, found.kept_bytes) == (4 * (256 + 2), 4 * 2)
    assert found.operations == 2


def test_nested_models_are_walked_and_shared_layers_count_as_often_as_they_are_used() -> None:
    inner = keras.Sequential([keras.Input((8,)), L.Dense(8), L.ReLU()])
    inputs = keras.Input((8,))
    x = inner(inner(inputs))
    shared = L.Dense(8)
    network = keras.Model(inputs, shared(shared(x)))
    found = network_cost(network)
    assert (found.forward, found.backward) == (4 * 64, (1 + 2 + 2 + 2) * 64)
    assert found.operations == 6


def test_what_a_recurrent_layer_iterates() -> None:
    found = network_cost(model((6, 7), L.Bidirectional(L.GRU(5, return_sequences=True)), L.GRU(3)))
    assert (found.iterations, found.loops, found.operations) == (3 * 6, 3, 2)


def test_attention() -> None:
    """Three projections in and one out, of 6 positions with 8 numbers; and each position with each, twice."""
    inputs = keras.Input((6, 8))
    found = network_cost(keras.Model(inputs, L.MultiHeadAttention(2, 4)(inputs, inputs)))
    assert found.forward == 4 * 6 * 8 * 8 + 2 * 6 * 6 * 8


class Block(L.Layer):
    """A layer of the user's own, made of others."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = L.Dense(16), L.Dense(4)

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.wide.build(shape)
        self.narrow.build((*shape[:-1], 16))

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return self.narrow(self.wide(x))


def test_layers_inside_a_layer_are_counted() -> None:
    assert network_cost(model((3, 8), Block())).forward == 3 * (8 * 16 + 16 * 4)


CONFIGURATIONS = {
    "cnn": {"depth": 3, "width": 32, "convs": 2},
    "resnet": {"depth": 2, "width": 32},
    "rnn": {"depth": 2, "width": 32},
    "baseline": {},
    "pretrained": {"head_width": 64},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_estimate_of_a_family_agrees_with_its_graph(family: str) -> None:
    """It is of the largest layers alone: within a quarter, for the baseline's unpadded ones a half."""
    params = complete({"family": family, **CONFIGURATIONS.get(family, {})})
    asked = Question(name="cost", arguments={"params": params, "image_shape": [32, 32, 3], "classes": 10})
    found = Cost.of(answer(asked).found)
    ratio = found.forward / (multiply_adds(params, (32, 32, 3)) or found.forward)
    assert 0.65 < ratio < 1.25
    assert found.forward < found.backward < 2 * found.forward
    assert found.trained <= found.parameters
    if found.body_forward:  # of a head every weight is used once, as well as the biases
        assert found.trained == pytest.approx(found.forward, rel=0.01)
        assert found.body_forward > found.parameters > 10 * found.trained
        assert found.pixels == 1280  # what the head sees of an image
        assert found.body_bytes > found.body_largest_bytes > 4 * 160 * 160 * 3
    else:
        assert found.parameters < found.forward


@pytest.mark.parametrize("family", ["cnn", "resnet"])
@pytest.mark.parametrize("stem", ["auto", "none", "stride2", "stride4"])
@pytest.mark.parametrize("shape", [(96, 72, 3), (160, 160, 3), (64, 32, 1)])
def test_estimates_know_stems(family: str, stem: str, shape: tuple[int, int, int]) -> None:
    params = complete({"family": family, "stem": stem, **CONFIGURATIONS[family], "width": 16})
    asked = Question(name="cost", arguments={"params": params, "image_shape": [*shape], "classes": 10})
    found = Cost.of(answer(asked).found)
    assert 0.65 < found.forward / (multiply_adds(params, shape) or 0) < 1.25


@pytest.mark.parametrize("family", ["cnn", "resnet"])
def test_a_stem_makes_large_images_affordable(family: str) -> None:
    params = complete({"family": family})
    full = multiply_adds(params | {"stem": "none"}, (96, 96, 3)) or 0.0
    assert (multiply_adds(params, (96, 96, 3)) or 0.0) < 0.5 * full
    assert multiply_adds(params, (48, 48, 3)) == multiply_adds(params | {"stem": "none"}, (48, 48, 3))
    assert network_key(params) != network_key(params | {"stem": "stride2"})


def test_a_plug_in_is_asked_for_its_network() -> None:
    Path("counted.py").write_text(
        "import keras\n"
        "def build(params, image_shape, num_classes):\n"
        "    x = keras.Input(image_shape)\n"
        "    y = keras.layers.Dense(params['units'])(keras.layers.Flatten()(x))\n"
        "    return keras.Model(x, keras.layers.Dense(num_classes)(y))\n"
        "def broken(params, image_shape, num_classes):\n"
        "    raise RuntimeError('no such thing')\n"
    )
    arguments = {"params": complete({"units": 6}, "counted:build"), "image_shape": [4, 4, 1], "classes": 3}
    found = Cost.of(answer(Question(name="cost", arguments=arguments)).found)
    assert (found.forward, found.backward) == (16 * 6 + 6 * 3, 16 * 6 + 2 * 6 * 3)
    broken = arguments | {"params": complete({}, "counted:broken")}
    told = answer(Question(name="cost", arguments=broken))
    assert told.found == {}
    assert told.error is not None
    assert "no such thing" in told.error


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_keys_of_networks_mean_equal_costs(family: str) -> None:
    """All parameters outside of the key at other values than their defaults."""
    params = complete({"family": family})
    other = dict(params)
    for name, parameter in CATALOG.items():
        if f"{name}=" in f" {network_key(params)}":
            continue
        if parameter.kind == "choice":
            other[name] = parameter.choices[-1]
        elif parameter.kind == "float":
            other[name] = 0.5 * (float(parameter.low or 0) + float(parameter.high or 0))
    assert network_key(other) == network_key(params)
    assert other["dropout"] != params["dropout"]
    arguments = {"image_shape": [12, 10, 3], "classes": 4}
    found = [
        answer(Question(name="cost", arguments={"params": one, **arguments})).found for one in (params, other)
    ]
    assert found[0] == found[1] != {}
    larger = {"cnn": "depth", "resnet": "depth", "rnn": "depth"}.get(family)
    if larger:
        assert network_key(params | {larger: 3}) != network_key(params | {larger: 2})


def test_of_an_unfrozen_backbone_the_whole_network_counts_with_what_is_trained_of_it() -> None:
    shape, found = [64, 64, 3], {}
    for unfreeze in (0, 2, 1000):
        params = complete({"family": "pretrained", "image_size": 64, "unfreeze": unfreeze})
        told = answer(Question(name="cost", arguments={"params": params, "image_shape": shape, "classes": 3}))
        assert told.error is None
        found[unfreeze] = Cost.of(told.found)
    head, some, every = found.values()
    assert some.body_forward == every.body_forward == 0
    assert some.parameters == every.parameters == head.parameters
    assert some.forward == every.forward == pytest.approx(head.forward + head.body_forward)
    assert head.trained < some.trained < every.trained < every.parameters, "batch norms are not trained"
    assert some.backward < some.forward < every.backward <= 2 * every.forward
    assert head.kept_bytes < some.kept_bytes < every.kept_bytes
