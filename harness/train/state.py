"""What a program keeps to go on with a trial: its variables, by names that are the same in every process."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

State: TypeAlias = dict[str, npt.NDArray[Any]]
"""Arrays by the names of their variables."""
Variables: TypeAlias = dict[str, "keras.Variable | tf.Variable"]
"""`weights/<layer>/<variable>`, `optimizer/<slot>/<layer>/<variable>`, `averages/<layer>/<variable>`."""
WEIGHTS, OPTIMIZER, AVERAGES = "weights", "optimizer", "averages"


class UnfitError(ValueError):
    """A state is that of another network."""


def named_variables(
    network: keras.Model,
    optimizers: Mapping[str, keras.Optimizer],
    averages: Sequence[tf.Variable],
    constant: Collection[keras.Layer] = (),
) -> Variables:
    """All variables that training changes, by their names.

    Args:
        network: that is trained.
        optimizers: built on its trainable weights, each by what its variables' names begin with.
        averages: of the trainable weights, in their order; or none.
        constant: layers whose weights stay as they are: these are left out.
    """
    fixed = {id(weight) for layer in constant for weight in layer.weights}
    weights = list(zip(weight_names(network), network.weights, strict=True))
    trained = {id(weight) for weight in network.trainable_weights}
    found: Variables = {f"{WEIGHTS}/{name}": weight for name, weight in weights if id(weight) not in fixed}
    for prefix, optimizer in optimizers.items():
        names = slot_names(optimizer, weights)
        found |= {
            f"{OPTIMIZER}/{prefix}{name}": slot for name, slot in zip(names, optimizer.variables, strict=True)
        }
    averaged = [name for name, weight in weights if id(weight) in trained] if averages else []
    found |= {f"{AVERAGES}/{name}": own for name, own in zip(averaged, averages, strict=True)}
    return found


def weight_names(network: keras.Model) -> list[str]:
    """The names of `network.weights`, as `<layer>/<variable>`, in their order.

    Keras numbers layers without names of their own through a whole process, so that such a number says
    nothing: layers of the same name are numbered anew, in the order in which the network has them.
    """
    names: dict[int, str] = {}
    taken: set[str] = set()
    for layer in network._flatten_layers(include_self=False):
        own = [*layer._trainable_variables, *layer._non_trainable_variables]
        own = [variable for variable in own if id(variable) not in names]
        if not own:
            continue
        name = _free(re.sub(r"_\d+$", "", layer.name), taken)
        inside: set[str] = set()
        for variable in own:
            names[id(variable)] = f"{name}/{_free(variable.name, inside)}"
    return [names.get(id(variable)) or _free(variable.path, taken) for variable in network.weights]


def slot_names(optimizer: keras.Optimizer, weights: Sequence[tuple[str, keras.Variable]]) -> list[str]:
    """The names of an optimizer's variables, as `<slot>/<weight>`, or `<variable>` for what is no weight's.

    Args:
        optimizer: built on the weights.
        weights: and their names.
    """
    # Keras calls a slot by the path of its weight, and the longest path that fits is that of its own.
    owners = sorted(
        ((weight.path.replace("/", "_"), name) for name, weight in weights), key=lambda one: -len(one[0])
    )
    found: list[str] = []
    for variable in optimizer.variables:
        fitting = (
            f"{variable.name[len(path) + 1 :]}/{name}"
            for path, name in owners
            if variable.name.startswith(f"{path}_")
        )
        found.append(next((name for name in fitting if name not in found), variable.name))
    return found


def assign(variables: Variables, state: State, optional: Collection[str] = ()) -> None:
    """Give variables the values of a state.

    Args:
        variables: all that the program has.
        state: the values.
        optional: names of variables that keep their values where the state has none for them.

    Raises:
        UnfitError: the state lacks a value, or has one that is no variable's or of another shape; nothing has
            been assigned.
    """
    problems = [f"{name} is missing" for name in variables if name not in state and name not in optional]
    for name, value in state.items():
        if name not in variables:
            problems.append(f"{name} is none of its variables")
        elif tuple(variables[name].shape) != value.shape:
            problems.append(f"{name} is {value.shape}, not {tuple(variables[name].shape)}")
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise UnfitError(f"{problems[0]}{more}")
    for name, value in state.items():
        variables[name].assign(np.asarray(value))


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number behind it if it is taken; it is taken then."""
    number, found = 0, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found)
    return found
