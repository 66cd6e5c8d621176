"""The section `confirmation` of an experiment: configurations that are trained anew, each on several
seeds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.records import Annealing, Params, Scalar
from harness.settings import Strict


class AnnealingConfig(Strict):
    """How a trial was trained to its end early."""

    start: Annotated[int, Field(ge=0)]
    """The epoch up to which its rate is as in a full training."""
    stop: Annotated[int, Field(ge=1)]
    """The epoch after which it is over."""


class ConfirmedConfig(Strict):
    """One configuration of the study that is confirmed."""

    trial: Annotated[int, Field(ge=0)]
    """The number of its trial in that study."""
    score: float
    """What that trial scored."""
    params: dict[str, Scalar]
    """All parameters, with defaults."""
    sampled: dict[str, Scalar] = Field(default={})
    """What the sampler chose, by the sampler's parameter names."""
    cycles: list[int] = Field(default=[])
    """The epochs at which the cycles of its learning rate end, as that study's scheduler had them; empty:
    at the last one."""
    annealing: AnnealingConfig | None = None
    """How the trial was trained to its end early; None: it was not."""

    @property
    def ends_early(self) -> Annealing | None:
        """The same as a record."""
        found = self.annealing
        return None if found is None else Annealing(start=found.start, stop=found.stop)


class ConfirmationConfig(Strict):
    """What a confirmation trains: every configuration once on each seed, with neither sampler nor scheduler.

    `harness confirm` writes it; the order is the first seed of all configurations, the second of all, and
    so on.
    """

    study: str
    """The name of the study that the configurations come from."""
    study_id: str
    """Its id, for a name may be used again."""
    data_digest: str
    """That of the data set it was run on."""
    split_digests: dict[str, str] = Field(default={})
    """SHA-256 (hex) of the images of each of its splits, as far as they are recorded."""
    weights: dict[str, str] = Field(default={})
    """SHA-256 (hex) of the weights of the backbones that it used, by name or path."""
    seeds: Annotated[list[int], Field(min_length=2)]
    """Fresh ones, the same for all configurations."""
    configurations: Annotated[list[ConfirmedConfig], Field(min_length=1)]
    """The best by the study's scores first."""

    @property
    def trainings(self) -> int:
        """How many trainings there are if none is spared."""
        return len(self.seeds) * len(self.configurations)

    def place(self, params: Params, seed: int) -> tuple[int, int] | None:
        """Which configuration and which seed a trial has, both as positions in their lists.

        Args:
            params: all parameters of the trial, and perhaps some that were added to harness since.
            seed: the trial's.

        Returns:
            None if it is none of them.
        """
        if seed not in self.seeds:
            return None
        for index, one in enumerate(self.configurations):
            if one.params.items() <= params.items():
                return index, self.seeds.index(seed)
        return None
