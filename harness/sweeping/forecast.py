"""How long a configuration trains and how much memory it takes, told before it is trained.

It is made of what the network costs and how fast a worker works; every epoch that has been seen corrects it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from statistics import median

from harness.experiment.keys import program_key
from harness.experiment.rates import COMPUTED, Rates, batches, features, prediction, training_step
from harness.records import Cost, Params

COMPILE_SECONDS = 0.1
"""Of any program: building the network, and tracing the step around it."""
COMPILE_SECONDS_AN_OPERATION = 0.037
COMPILE_SECONDS_A_LOOP = 0.6
"""More for each recurrent loop, whose graph is rewritten."""
PROCESS_BYTES = 0.32 * 2**30
"""Memory of a worker that has trained nothing yet."""
COPIES = 6
"""Of the weights: the trained ones, their gradients, two of the optimizer, those of the saved model, and what
is being written."""
ACTIVATIONS = 1.2
"""Memory of a step over the activations that it keeps: their gradients, and buffers of the layers."""
PREDICTION_BYTES = 0.5 * 2**30
"""The most that activations take while images are predicted."""
FEATURE_BYTES = 4
"""Of one feature; a number of an image takes one byte."""
REMEMBERED = 32
"""Epochs of a program that are remembered, the newest ones."""


@dataclass(slots=True)
class Forecast:
    """Forecasts for one worker of a sweep; pure, but for what it learns."""

    rates: Rates
    """Of a worker at the study's precision and threads."""
    train_images: int
    validation_images: int
    epoch_images: int | None = None
    """Images that make an epoch; None: all of the training images."""
    data_memory: float = 0.0
    """Bytes of training and validation data that a worker holds in memory at most."""
    _epochs: dict[str, list[float]] = field(default_factory=dict)
    """By program key, the logarithms of what epochs took over what was expected from the rates alone."""
    _compiling: list[float] = field(default_factory=list)
    """The same of compiling, of all programs."""

    @property
    def has_learned(self) -> bool:
        """Whether an epoch has been seen."""
        return bool(self._epochs)

    def epoch_seconds(self, params: Params, cost: Cost) -> float:
        """Seconds of training and validation of one epoch, without compiling.

        Args:
            params: complete parameters.
            cost: of the configuration's network.
        """
        return self.from_rates(params, cost) * self._factor(program_key(params))

    def compile_seconds(self, params: Params, cost: Cost) -> float:
        """Seconds that a worker spends on the program before its first epoch.

        Args:
            params: complete parameters.
            cost: of the configuration's network.
        """
        return _compiling(cost) * math.exp(median(self._compiling or [0.0]))

    def features_seconds(self, cost: Cost, views: Collection[int]) -> float:
        """Seconds in which one worker computes the features that a head is trained on.

        Args:
            cost: of the network.
            views: those of the training images that are computed; with view 0 the validation images are, too.
        """
        images = self.train_images * len(views) + (self.validation_images if 0 in views else 0)
        return self.rates.seconds(features(cost, images))

    def memory_bytes(self, params: Params, cost: Cost) -> float:
        """Bytes of a worker that trains a configuration and nothing else, on features that it has computed.

        Args:
            params: complete parameters.
            cost: of the configuration's network.
        """
        training = ACTIVATIONS * int(params["batch_size"]) * cost.kept_bytes
        predicting = min(PREDICTION_BYTES, self.validation_images * cost.largest_bytes)
        computing = COMPUTED * cost.body_largest_bytes
        weights = 4 * (COPIES - 1) * cost.trained + 4 * cost.parameters
        return PROCESS_BYTES + self._data_bytes(params, cost) + weights + max(training, predicting, computing)

    def _data_bytes(self, params: Params, cost: Cost) -> float:
        """Bytes of what is trained on and validated with: pixels, or the features of all views."""
        images, number_bytes = self.train_images + self.validation_images, 1
        if cost.body_forward:
            images = self.train_images * int(params["views"]) + self.validation_images
            number_bytes = FEATURE_BYTES
        return min(self.data_memory, number_bytes * cost.pixels * images)

    def learn(self, params: Params, cost: Cost, seconds: float) -> None:
        """An epoch of the configuration took so long, without compiling: forecasts take this into account.

        Args:
            params: complete parameters.
            cost: of the configuration's network.
            seconds: of training and validation.
        """
        if seconds > 0:
            seen = self._epochs.setdefault(program_key(params), [])
            seen.append(math.log(seconds / self.from_rates(params, cost)))
            del seen[:-REMEMBERED]

    def learn_compiling(self, cost: Cost, seconds: float) -> None:
        """Compiling a program with a network of this cost took so long."""
        if seconds > 0:
            self._compiling.append(math.log(seconds / _compiling(cost)))
            del self._compiling[:-REMEMBERED]

    def from_rates(self, params: Params, cost: Cost) -> float:
        """Seconds of an epoch as the worker's rates alone have it, whatever was learned."""
        steps, images = batches(params, self.train_images, self.epoch_images)
        step = self.rates.seconds(training_step(params, cost, images))
        return steps * step + self.rates.seconds(prediction(cost, self.validation_images))

    def _factor(self, program: str) -> float:
        """How much longer epochs take than the rates say: of this program, or else of all that were seen."""
        if program in self._epochs:
            return math.exp(median(self._epochs[program]))
        return math.exp(median(map(median, self._epochs.values()))) if self._epochs else 1.0


def _compiling(cost: Cost) -> float:
    loops = COMPILE_SECONDS_A_LOOP * cost.loops
    return COMPILE_SECONDS + COMPILE_SECONDS_AN_OPERATION * cost.operations + loops
