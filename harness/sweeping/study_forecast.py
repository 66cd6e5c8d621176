"""What a study's configurations take: costs are looked up, and every epoch that is seen is learned from."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.engine.memory import worker_memory
from harness.experiment.experiment import Experiment
from harness.experiment.parameters import program_key
from harness.machine import visible_gpus
from harness.records import Dataset, Params, Precision
from harness.sweeping.costs import Ask, Costs
from harness.sweeping.forecast import Forecast
from harness.sweeping.worker_rates import known_rates, measured_rates, usual_rates

MOSTLY = 3.0
"""How many times as long as compiling an epoch must be for its seconds to tell something all the same."""


@dataclass(slots=True)
class StudyForecast:
    """Forecasts by configuration alone: its cost is looked up."""

    forecast: Forecast
    costs: Costs
    workers: int
    """That train side by side."""
    precision: Precision
    rates_known: bool = False
    """Whether the rates are those of this machine, and not those of a usual processor."""
    on_gpu: bool = False
    """Whether GPUs train: a usual processor's rates say nothing of them."""
    _compiled: set[tuple[int, str]] = field(default_factory=set)
    """Workers, and the keys of programs that they have compiled."""

    @property
    def is_measured(self) -> bool:
        """Whether the rates are those of this machine, or epochs have corrected them."""
        return self.rates_known or self.forecast.has_learned

    def measure(self) -> None:
        """Have a worker measure how fast it works, unless that is known; it takes some ten seconds."""
        found = measured_rates(self.workers, self.precision, self.costs.ask)
        if found is not None:
            self.forecast.rates, self.rates_known = found, True

    def seconds_to(self, params: Params, start: int, stop: int) -> float | None:
        """Seconds in which a worker trains from one epoch to another; with compiling if it starts at 0.

        Args:
            params: complete parameters.
            start: the epoch that has been reached.
            stop: the epoch to be reached.

        Returns:
            None if the cost of the configuration is not known.
        """
        cost = self.costs.of(params)
        if cost is None:
            return None
        compiling = 0.0 if start else self.forecast.compile_seconds(params, cost)
        return compiling + (stop - start) * self.forecast.epoch_seconds(params, cost)

    def memory_bytes(self, params: Params) -> float | None:
        """Bytes of a worker that trains the configuration; None if its cost is not known."""
        cost = self.costs.of(params)
        return None if cost is None else self.forecast.memory_bytes(cost, int(params["batch_size"]))

    def learn(self, worker: int, params: Params, seconds: float) -> None:
        """An epoch took so long on this worker, with compiling if it is the program's first one there.

        Nobody is asked: only configurations whose cost was looked up before are learned from. A first epoch
        that is mostly compiling tells nothing of epochs.
        """
        cost = self.costs.known(params)
        if cost is None:
            return
        epoch = self.forecast.epoch_seconds(params, cost)
        compiling = self.forecast.compile_seconds(params, cost)
        compiled = worker, program_key(params)
        if compiled in self._compiled:
            self.forecast.learn(params, cost, seconds)
        elif epoch > MOSTLY * compiling:
            self.forecast.learn(params, cost, seconds - compiling)
        else:
            self.forecast.learn_compiling(cost, seconds - epoch)
        self._compiled.add(compiled)


def study_forecast(
    experiment: Experiment, dataset: Dataset, workers: int, precision: Precision, ask: Ask
) -> StudyForecast:
    """Forecasts for a study's workers on this machine.

    Args:
        experiment: what is searched.
        dataset: what is trained on.
        workers: that train side by side.
        precision: what layers compute with.
        ask: puts a question to one of them, or to a process with as many threads.

    Returns:
        Forecasts with the rates that are known of such workers, or those of a usual processor, until
        `measure` has found them out.
    """
    counts = dataset.counts
    images = counts.get("train", 0), counts.get("validation", 0)
    height, width, channels = dataset.image_shape
    known, gpus = known_rates(workers, precision), len(visible_gpus())
    memory = worker_memory(workers, gpus, experiment.search.worker_memory, experiment.search.data_memory)
    return StudyForecast(
        Forecast(
            rates=known or usual_rates(workers, precision),
            train_images=images[0],
            validation_images=images[1],
            epoch_images=experiment.training.epoch_images,
            image_bytes=min(memory.data, sum(images) * height * width * channels),
        ),
        Costs(ask, dataset),
        workers,
        precision,
        known is not None,
        gpus > 0,
    )
