"""What a session's epochs took, beside what was forecast: learned from, and told in a sentence at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.experiment.experiment import Experiment
from harness.experiment.parameters import in_epoch
from harness.records import EpochEnded, FeaturesReady, LogRecord, Params, SegmentStarted, TrialStarted
from harness.study.state import StudyState
from harness.sweeping.prices import dearest
from harness.sweeping.study_forecast import StudyForecast

LOOKING_UP = 0.02
"""The share of a session's seconds that may be spent, at its end, on finding out what its networks cost."""
MEASURED_FROM = 300.0
"""Seconds of a time limit from which it is worth to measure how fast a worker works."""
LEAST_LOOKING_UP = 0.1
"""Seconds that may be spent on it in any case: enough for a network or two."""
LEAST_EPOCHS = 10
"""Epochs that are compared at least; fewer say nothing."""


@dataclass(slots=True)
class Hindsight:
    """Follows a session's records."""

    forecast: StudyForecast
    _params: dict[int, Params] = field(default_factory=dict)
    _workers: dict[int, int] = field(default_factory=dict)
    """By trial, the worker that trains it."""
    _seconds: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    """By trial and first epoch of a program, of the epochs in this session; the first one of each segment and
    program is left out, for it may have compiled."""
    _fresh: set[int] = field(default_factory=set)
    """Trials whose segment has not ended an epoch yet."""
    _began: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, forecast: StudyForecast, state: StudyState) -> Hindsight:
        """For a session that goes on with these trials."""
        for number in state.with_features:
            forecast.features_are_there(state.trials[number].params)
        return cls(forecast, {number: trial.params for number, trial in state.trials.items()})

    def feed(self, record: LogRecord) -> None:
        """Take in what was written to the event log."""
        event = record.event
        if isinstance(event, TrialStarted):
            self._params[event.trial] = event.params
        elif isinstance(event, SegmentStarted):
            self._workers[event.trial] = event.worker
            self._fresh.add(event.trial)
        elif isinstance(event, FeaturesReady):
            self.forecast.features_are_there(self._params[event.trial])
        elif isinstance(event, EpochEnded):
            seconds = event.metrics.get("epoch_seconds", 0.0)
            params, epoch = self._params[event.trial], self.forecast.within(event.epoch)
            self.forecast.learn(self._workers[event.trial], params, epoch, seconds)
            first = self.forecast.first_epoch(params, epoch)
            if event.trial not in self._fresh and epoch != first:
                self._seconds.setdefault((event.trial, first), []).append(seconds)
            self._fresh.discard(event.trial)

    def sentence(self, *, look_up: bool) -> str | None:
        """Forecast and reality of the session's epochs; None if too little is known.

        Args:
            look_up: whether workers may be asked for costs that are not known, for a moment.
        """
        now = time.monotonic()
        until = now + max(LEAST_LOOKING_UP, LOOKING_UP * (now - self._began))
        epochs, took, expected = 0, 0.0, 0.0
        for (trial, first), seconds in self._seconds.items():
            params = in_epoch(self._params[trial], first, self.forecast.unfreeze_at)
            costs = self.forecast.costs
            cost = costs.of(params) if look_up and time.monotonic() < until else costs.known(params)
            if cost is not None:
                epochs += len(seconds)
                took += sum(seconds)
                expected += len(seconds) * self.forecast.forecast.from_rates(params, cost)
        if epochs < LEAST_EPOCHS:
            return None
        return (
            f"forecast: {epochs} epochs should have taken {expected:.1f} s and took {took:.1f} s "
            f"({100 * (took / expected - 1):+.0f} %)"
        )


def look_ahead(experiment: Experiment, forecast: StudyForecast, note: Callable[[str], None]) -> None:
    """Before anything is trained: measure a worker if the time limit is worth it; without one, say what the
    dearest configuration takes.

    Args:
        experiment: what will be run.
        forecast: of its workers, the first of which is waited for.
        note: told the sentence.
    """
    timeout = experiment.budget.timeout
    if timeout is not None:
        if timeout >= MEASURED_FROM and experiment.confirmation is None:
            forecast.measure()
    elif (
        experiment.model is None
        and experiment.confirmation is None
        and experiment.search.trials > 1
        and (forecast.is_measured or not forecast.on_gpu)
    ):
        found = dearest(experiment, forecast)
        if found is not None:
            note(
                f"forecast: the dearest configuration takes about {found.epoch_seconds:.2g} s an epoch and "
                f"{found.training_seconds:.2g} s for a full training on one worker"
            )


def look_back(
    experiment: Experiment, hindsight: Hindsight, note: Callable[[str], None], *, in_a_hurry: bool
) -> None:
    """After the last training: say what was forecast and what came true.

    Args:
        experiment: what was run.
        hindsight: what was seen of it.
        note: told the sentence.
        in_a_hurry: nobody is asked for costs that are not known.
    """
    look_up = not in_a_hurry and experiment.budget.timeout is None
    sentence = hindsight.sentence(look_up=look_up)
    if sentence is not None:
        note(sentence)
