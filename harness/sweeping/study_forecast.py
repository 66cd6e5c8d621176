"""What a study's configurations take: costs are looked up, and every epoch that is seen is learned from."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.engine.memory import worker_memory
from harness.experiment.experiment import Experiment
from harness.experiment.folds import ONE_TRAINING, Folds
from harness.experiment.keys import body_key, program_key
from harness.experiment.parameters import in_epoch, unfreezes
from harness.gpus import visible_gpus
from harness.records import Dataset, Params, Precision
from harness.sweeping.costs import Ask, Costs
from harness.sweeping.forecast import Forecast
from harness.sweeping.parts import make_scheduler
from harness.sweeping.unfreezing import unfreezing_epoch
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
    unfreeze_at: int | None = None
    """The last epoch in which configurations train their heads alone; with Hyperband, that of most trials."""
    folds: Folds = ONE_TRAINING
    """How the epochs of a trial are divided among its trainings."""
    _compiled: set[tuple[int, str]] = field(default_factory=set)
    """Workers, and the keys of programs that they have compiled."""
    _features: set[tuple[str, int]] = field(default_factory=set)
    """Features that have been computed: what decides the body, and the view of the images."""

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
        """Seconds in which a worker trains from one epoch to another.

        With compiling, if it starts at 0 or unfreezes a backbone; with computing features, if it starts at
        0 and no trial has been trained on them yet.

        Args:
            params: complete parameters.
            start: the epoch that has been reached.
            stop: the epoch to be reached.

        Returns:
            None if the cost of the configuration is not known.
        """
        seconds, reached = 0.0, start
        while True:  # training by training; without folds there is one
            before = self.folds.before(reached + 1)
            end = min(stop, before + self.folds.epochs) if self.folds.parts else stop
            training = self._seconds_within(params, reached - before, end - before, compiles=not before)
            if training is None:
                return None
            seconds, reached = seconds + training, end
            if reached >= stop:
                return seconds if start else seconds + self.features_seconds(params)

    def _seconds_within(self, params: Params, start: int, stop: int, *, compiles: bool) -> float | None:
        """Seconds from one epoch of a training to another; later folds find their programs compiled."""
        seconds = 0.0
        for first, last in self._stages(params, start, stop):
            here = in_epoch(params, first, self.unfreeze_at)
            cost = self.costs.of(here)
            if cost is None:
                return None
            if compiles and (first == 1 or here != in_epoch(params, first - 1, self.unfreeze_at)):
                seconds += self.forecast.compile_seconds(here, cost)
            seconds += (last - first + 1) * self.forecast.epoch_seconds(here, cost)
        return seconds

    def _stages(self, params: Params, start: int, stop: int) -> list[tuple[int, int]]:
        """First and last epoch of each part between two epochs of a training that one program trains."""
        at = self.unfreeze_at
        if at is None or not unfreezes(params) or not start < at < stop:
            return [(start + 1, stop)]
        return [(start + 1, at), (at + 1, stop)]

    def first_epoch(self, params: Params, epoch: int) -> int:
        """The first epoch of the training that is trained by the same program as this one."""
        at = self.unfreeze_at
        return 1 if at is None or epoch <= at or not unfreezes(params) else at + 1

    def within(self, epoch: int) -> int:
        """The number that an epoch of a trial has in its own training."""
        return epoch - self.folds.before(epoch)

    def features_seconds(self, params: Params) -> float:
        """Seconds in which a worker computes the features of a configuration; 0 if they are there."""
        head = in_epoch(params, 1, self.unfreeze_at)
        cost = self.costs.known(head)
        missing = [view for body, view in _features(head) if (body, view) not in self._features]
        return self.forecast.features_seconds(cost, missing) if cost is not None and missing else 0.0

    def features_are_there(self, params: Params) -> None:
        """The features that the configuration is trained on have been computed, and lie in the cache."""
        self._features.update(_features(params))

    def memory_bytes(self, params: Params) -> float | None:
        """Bytes of a worker that trains the configuration; None if its cost is not known."""
        cost = self.costs.of(params)
        return None if cost is None else self.forecast.memory_bytes(params, cost)

    def learn(self, worker: int, params: Params, epoch: int, seconds: float) -> None:
        """An epoch, 1-based, took so long on this worker, with compiling if it is its program's first there.

        Nobody is asked: only configurations whose cost was looked up before are learned from. A first epoch
        that is mostly compiling tells nothing of epochs.
        """
        params = in_epoch(params, epoch, self.unfreeze_at)
        cost = self.costs.known(params)
        if cost is None:
            return
        expected = self.forecast.epoch_seconds(params, cost)
        compiling = self.forecast.compile_seconds(params, cost)
        compiled = worker, program_key(params)
        if compiled in self._compiled:
            self.forecast.learn(params, cost, seconds)
        elif expected > MOSTLY * compiling:
            self.forecast.learn(params, cost, seconds - compiling)
        else:
            self.forecast.learn_compiling(cost, seconds - expected)
        self._compiled.add(compiled)


def _features(params: Params) -> list[tuple[str, int]]:
    """The features that a configuration is trained on, by body and view; of pixels none."""
    body = body_key(params)
    return [] if body is None else [(body, view) for view in range(int(params["views"]))]


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
    if dataset.folds:
        held_out = round(images[0] / dataset.folds)
        images = images[0] - held_out, held_out
    known, gpus = known_rates(workers, precision), len(visible_gpus())
    memory = worker_memory(workers, gpus, experiment.search.worker_memory, experiment.search.data_memory)
    return StudyForecast(
        Forecast(
            rates=known or usual_rates(workers, precision),
            train_images=images[0],
            validation_images=images[1],
            epoch_images=experiment.training.epoch_images,
            data_memory=memory.data if memory.device_data is None else memory.device_data,
        ),
        Costs(ask, dataset),
        workers,
        precision,
        known is not None,
        gpus > 0,
        unfreezing_epoch(experiment, make_scheduler(experiment).cycles(0)),
        experiment.folds,
    )
