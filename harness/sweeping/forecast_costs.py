"""Costs as a study's forecast has them, told with caution: what is refused by them is never trained."""

from __future__ import annotations

from dataclasses import dataclass

from harness.experiment.keys import body_key
from harness.experiment.parameters import multiply_adds, unfreezes
from harness.records import Params
from harness.sweeping.study_forecast import StudyForecast

UNSURE = 0.5
"""The part of its seconds that a configuration is taken to need while nothing was measured on this machine:
the rates of a usual processor may be this wrong."""
LARGE_STEP = 2e9
"""Multiply-adds of a step below which no worker's memory is too small, so that nobody need be asked."""


@dataclass(frozen=True, slots=True)
class ForecastCosts:
    """What `sweeping.admission` asks for."""

    forecast: StudyForecast
    image_shape: tuple[int, ...]
    """Height, width, channels; of clips, before them the frames."""

    def seconds_to(self, params: Params, start: int, stop: int) -> float | None:
        """Seconds of training from the epoch `start` to the epoch `stop`; None if nobody knows."""
        seconds = self.forecast.seconds_to(params, start, stop)
        if seconds is None or self.forecast.is_measured:
            return seconds
        return None if self.forecast.on_gpu else UNSURE * seconds

    def memory_bytes(self, params: Params) -> float | None:
        """Memory of a worker that trains the configuration; None if nobody knows, or it is surely little.

        A network of the user's own, or a head on a frozen body, is only looked at where its seconds are asked
        for as well.
        """
        frozen = body_key(params) is not None and not unfreezes(params)
        work = None if frozen else multiply_adds(params, self.image_shape)
        if work is None and self.forecast.costs.known(params) is None:
            return None
        if work is not None and work * float(params["batch_size"]) < LARGE_STEP:
            return None
        return self.forecast.memory_bytes(params)
