"""Configurations of a space that have not been tried yet, when a sampler finds only what is known."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from harness.experiment.drawing import drawn_at_random
from harness.experiment.space import Space, configurations, resolve
from harness.records import Params
from harness.seeds import seed_from

LARGEST_LIST = 100_000
"""Configurations that are listed at most."""
DRAWS = 1000
"""Random draws from a larger space, before all of its configurations are gone through in order."""


class Untried:
    """Candidates of a space; every configuration is among them again and again until it has been tried."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._left: list[tuple[Params, Params]] | None = None
        """Configurations of a small space still to look at; None before they were needed."""
        self._is_listed = False
        """Whether the space is small enough for that."""

    def candidates(self, number: int) -> Iterator[tuple[Params, Params]]:
        """Configurations that may not have been tried yet; all others have been.

        Where they can be listed, in a random order. Else drawn at random, and where that finds only what is
        known (when most choices lead to few configurations and a rare one to many), all there are.

        Args:
            number: of the trial that one is wanted for.
        """
        if self._left is None:
            size = self._space.size()
            self._is_listed = size is not None and size <= LARGEST_LIST
            every = list(configurations(self._space)) if self._is_listed else []
            order = np.random.default_rng(seed_from(self._seed, "grid")).permutation(len(every))
            self._left = [every[index] for index in order]
        while self._left:
            yield self._left.pop()
        if not self._is_listed:
            draw = drawn_at_random(random.Random(seed_from(self._seed, "untried", number)))  # noqa: S311
            for _ in range(DRAWS):
                yield resolve(self._space, draw)
            yield from configurations(self._space)
