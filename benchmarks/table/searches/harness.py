"""harness: its sampler, scheduler and policy decide, and it hands work to workers as in a sweep."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.arms.searching import MIN_EPOCHS, REDUCTION
from benchmarks.table.clock import Answers, Epoch, Work
from benchmarks.table.curves import Recording, schedule_name
from harness.experiment.experiment import Experiment
from harness.experiment.load import load_text
from harness.records import Dataset, Params, Segment, TrialState
from harness.study.state import StudyState
from harness.sweeping.affinity import Affinity
from harness.sweeping.asynchronous import AsynchronousPolicy
from harness.sweeping.parts import make_policy, make_sampler
from harness.sweeping.policy import Outcome, TimeLeft
from harness.sweeping.schedule import with_schedule

ENDLESS = 100_000
NO_DATA = Dataset(
    name="table",
    folder="",
    split="",
    digest="",
    classes=(),
    image_shape=(0, 0, 3),
    counts={},
    class_counts={},
)


def experiment_of(
    recording: Recording, seconds: float, seed: int, settings: Sequence[str] = ()
) -> Experiment:
    """What `benchmarks.arms.search.harness` runs on the table's space.

    Args:
        recording: what the table holds.
        seconds: the time limit.
        seed: of the study.
        settings: `key.path=value`, as `--set` of `harness sweep` takes them.
    """
    whole: dict[str, Any] = {
        "name": "table",
        "seed": seed,
        "training": {"epochs": recording.epochs, "precision": recording.precision},
        "search": {"trials": ENDLESS, "timeout": seconds},
        "scheduler": {"kind": "asha", "min_epochs": MIN_EPOCHS, "reduction": REDUCTION},
        "space": recording.space,
    }
    loaded = load_text(json.dumps(whole), Path("table.yaml"), settings)  # JSON is YAML
    return with_schedule(loaded, StudyState(), lambda _: None)


@dataclass(frozen=True, slots=True)
class TableCosts:
    """What configurations take, as a forecast that is always right has it."""

    answers: Answers

    def seconds_to(self, params: Params, start: int, stop: int) -> float:
        table, configuration = self.answers.table, self.answers.configuration(params)
        seconds = (stop - start) * table.epoch_seconds[configuration]
        return seconds if start else seconds + table.compile_seconds[configuration]

    def memory_bytes(self, params: Params) -> None:
        return None


class HarnessSearch:
    keeps_programs = True

    def __init__(self, experiment: Experiment, answers: Answers, workers: int) -> None:
        self._answers, self._limit = answers, experiment.budget.timeout
        self._epochs = experiment.training.epochs
        sampler = make_sampler(experiment)
        self._policy = make_policy(experiment, sampler, 0, TableCosts(answers), math.inf)
        self._affinity = Affinity(workers)
        self._params: dict[int, Params] = {}
        self._accuracies: dict[int, dict[int, float]] = {}
        """By trial and epoch, as far as they are known."""
        self._reached: dict[int, int] = {}
        self._seconds: dict[int, float] = {}
        """By trial, of its shortest epoch."""
        self._longest = 0.0

    def hand_out(self, idle: Sequence[int], now: float) -> tuple[int, Work] | None:
        left = None if self._limit is None else TimeLeft(self._limit - now, self._limit, self._longest)
        taken = self._affinity.take(idle, lambda: self._next_segment(left))
        if taken is None:
            return None
        worker, segment = taken
        segment = self._in_time(segment, left)
        params = self._params[segment.trial]
        schedule = schedule_name(str(params["schedule"]), segment.cycles)
        return worker, Work(segment.trial, params, segment.start, segment.stop, schedule, segment.annealing)

    def _in_time(self, segment: Segment, left: TimeLeft | None) -> Segment:
        """As the dispatcher of a sweep does it."""
        if left is None or not isinstance(self._policy, AsynchronousPolicy):
            return segment
        found = self._policy.shortened(segment.trial, segment.start, segment.stop, left)
        return replace(segment, stop=found.stop, annealing=found) if found else segment

    def _next_segment(self, left: TimeLeft | None) -> Segment | None:
        choice = self._policy.ask(left)
        self._policy.take_refused()
        if choice is None:
            return None
        if choice.suggestion is not None:
            self._params[choice.trial] = choice.suggestion.params
        # The program is that of the configuration which answers.
        configuration = self._answers.begin(self._params[choice.trial])
        return Segment(
            study_folder="",
            trial=choice.trial,
            attempt=1,
            params=self._answers.table.complete[configuration],
            seed=0,
            start=self._reached.get(choice.trial, 0),
            stop=choice.stop,
            max_epochs=self._epochs,
            cycles=self._policy.cycles(choice.trial),
            annealing=choice.annealing,
            dataset=NO_DATA,
        )

    def ended(self, worker: int, work: Work, epoch: Epoch) -> bool:
        trial = work.trial
        self._longest = max(self._longest, epoch.seconds)
        self._seconds[trial] = min(epoch.seconds, self._seconds.get(trial, math.inf))
        self._accuracies.setdefault(trial, {})[epoch.number] = epoch.accuracy
        self._reached[trial] = epoch.number
        if not epoch.finite:  # a sweep gives up a trial whose loss is not finite
            self._tell(work, math.nan, "failed")
            return False
        if epoch.number == work.stop:
            whole = work.annealing is not None or epoch.number == self._epochs
            self._tell(work, epoch.accuracy, "complete" if whole else None)
        return True

    def _tell(self, work: Work, value: float, state: TrialState | None) -> None:
        self._policy.tell(
            Outcome(
                trial=work.trial,
                stop=work.stop,
                values=(value,),
                scores=dict(self._accuracies[work.trial]),
                state=state,
                final=[value] if state == "complete" else None,
                seconds=self._seconds[work.trial],
            )
        )
        self._policy.take_stopped()
