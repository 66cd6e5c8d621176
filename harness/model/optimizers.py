"""Keras optimizers by the value of the `optimizer` parameter.

The learning rate is assigned at every step and weight decay is applied by the training step, so
that neither compiles anything anew.
"""

from __future__ import annotations

from collections.abc import Callable

import keras

from harness.records import Params

OPTIMIZERS: dict[str, Callable[[Params], keras.Optimizer]] = {
    "sgd": lambda _: keras.optimizers.SGD(),
    "momentum": lambda params: keras.optimizers.SGD(momentum=float(params["momentum"])),
    "nesterov": lambda params: keras.optimizers.SGD(momentum=float(params["momentum"]), nesterov=True),
    "adagrad": lambda _: keras.optimizers.Adagrad(),
    "rmsprop": lambda _: keras.optimizers.RMSprop(),
    "adam": lambda _: keras.optimizers.Adam(),
    "adamw": lambda _: keras.optimizers.Adam(),
    "lion": lambda _: keras.optimizers.Lion(),
}
"""AdamW is Adam with decoupled weight decay (Loshchilov & Hutter 2019), which the step applies."""
