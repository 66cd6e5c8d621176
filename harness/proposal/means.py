"""What there is to search with: the machine's speed, and the backbones whose weights are installed."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine import default_workers
from harness.errors import HarnessError
from harness.gpus import visible_gpus
from harness.machine import usable_cores
from harness.model.backbones import BACKBONES as REGISTERED
from harness.sweeping.worker_rates import known_rates, usual_rates

TRIALS = 50
"""What numbers of workers are asked for; no machine has more."""
TRAINING = 1.5e10
"""Multiply-adds a second of one core that trains a network of convolutions in float32, a rule of thumb."""
PREDICTING = 9e9
"""Multiply-adds a second of one core that computes a backbone's features, a rule of thumb: depthwise
convolutions are slower than plain ones."""
GPU = 50
"""How many times as fast as a core a GPU is taken to be."""


@dataclass(frozen=True, slots=True)
class PricedBackbone:
    """A backbone that may be proposed, with what it takes."""

    name: str
    """As it is registered."""
    multiply_adds: float
    """Of one image of the size that it was trained with."""

    def cost(self, size: tuple[int, int]) -> float:
        """Multiply-adds for an image of another size: they grow with its area."""
        return self.multiply_adds * size[0] * size[1] / REGISTERED[self.name].sizes[0] ** 2


BACKBONES = (
    PricedBackbone("efficientnet_lite0", 3.9e8),
    PricedBackbone("efficientnet_lite1", 6.0e8),
    PricedBackbone("efficientnet_lite2", 8.6e8),
)
"""Those whose weights come with a package, the cheapest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """A machine, and what is installed on it."""

    training: float
    """Multiply-adds a second of one worker that trains, forward and backward passes alike."""
    predicting: float
    """Multiply-adds a second of all workers together that compute features."""
    is_measured: bool
    """Whether the speed of this machine was measured, and is not only a rule of thumb."""
    backbones: tuple[PricedBackbone, ...]
    """Those whose weights are there, the cheapest first."""
    missing: str = ""
    """Why there are none; empty if there are."""


def means() -> Means:
    """Those of this machine, as far as they are known without measuring."""
    gpus, cores, workers = len(visible_gpus()), usable_cores(), default_workers(TRIALS)
    known = known_rates(workers, "float32")
    faster = known and usual_rates(workers, "float32").multiply_adds / known.multiply_adds
    speed = GPU if gpus else max(1.0, cores / workers) * (faster or 1.0)
    backbones, missing = _installed()
    return Means(
        training=TRAINING * speed,
        predicting=PREDICTING * speed * workers,
        is_measured=known is not None and not gpus,
        backbones=backbones,
        missing=missing,
    )


def _installed() -> tuple[tuple[PricedBackbone, ...], str]:
    """The backbones whose weights are there; and if there are none, why the first one's are not."""
    found: list[PricedBackbone] = []
    missing = ""
    for backbone in BACKBONES:
        try:
            REGISTERED[backbone.name].fingerprint()
        except HarnessError as error:
            missing = missing or str(error)
        else:
            found.append(backbone)
    return tuple(found), "" if found else missing
