"""Optuna's samplers behind ask, pause and finish.

The study that the sampler sees lives in memory and is rebuilt from the event log, so asking costs
milliseconds and needs no database. It differs from what is stored in one thing: a trial that is paused or
trains on is shown with what it has scored so far, to TPE by the score after equally many epochs.
"""

from __future__ import annotations

import datetime
import importlib.util
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from harness.errors import ExperimentError
from harness.experiment.distributions import Constant
from harness.experiment.drawing import defaults
from harness.experiment.experiment import Objective
from harness.experiment.parameters import complete
from harness.experiment.samplers import SAMPLERS
from harness.experiment.space import Space, resolve
from harness.records import Params, TrialState
from harness.seeds import seed_from
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.sweeping.samplers.comparable import NEWEST, ComparableTrials
from harness.sweeping.samplers.costs import EpochCosts
from harness.sweeping.samplers.suggesting import suggest
from harness.sweeping.samplers.tpe import CostAwareTPE
from harness.sweeping.samplers.untried import LARGEST_LIST, Untried
from harness.tracking.optuna_space import distributions_of

ATTEMPTS = 20
"""How often, in all, a sampler is asked for a configuration that has not been tried; half of them random."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One configuration to try."""

    params: Params
    """Complete parameters for training."""
    sampled: Params
    """What the sampler chose, by its own names."""
    seed: int
    """The trial's seed."""


class Sampler:
    """Suggests configurations; every call is seeded by the study's seed and the trial's number."""

    def __init__(
        self,
        space: Space,
        kind: str,
        seed: int,
        *,
        objectives: Sequence[Objective],
        start_with: Sequence[Params] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # its advice is for whoever uses it directly
        check_sampler(kind, space)
        self._space = space
        self._kind = kind
        self._seed = seed
        if not start_with and SAMPLERS[kind].learns:
            start_with = [defaults(space)]
        self._start_with = start_with
        self._several = len(objectives) > 1
        self._storage = ComparableTrials(objectives, compared=SAMPLERS[kind].by_epoch and not self._several)
        self._study = optuna.create_study(
            storage=self._storage, directions=[one.direction for one in objectives]
        )
        self._own: dict[int, int] = {}
        """This study's trial ids by the trials' numbers; a repeated suggestion has no number."""
        self._seconds: dict[int, float] = {}
        """What an epoch took, by this study's trial ids."""
        self._tried: dict[str, int] = {}
        """The number of the first trial that had a configuration, by its parameters as JSON."""
        self._untried = Untried(space, seed)
        self.repeats = 0
        """Suggestions that had been tried before and were not trained again."""

    def ask(self, number: int, cost_weight: float = 0.0) -> Suggestion | None:
        """The configuration of trial `number`; None if every one of the space has been tried.

        Args:
            number: the trial's.
            cost_weight: how much the costs of epochs count, from 0 (not at all) to 1 (TPE then weighs the
                expected improvement per second).
        """
        if SAMPLERS[self._kind].needs_list:
            return self._suggest_untried(number)
        for attempt in range(ATTEMPTS):
            kind = self._kind if attempt < ATTEMPTS // 2 else "random"
            self._study.sampler = make_sampler(kind, self._seed, f"trial {number}, attempt {attempt}")
            if cost_weight and isinstance(self._study.sampler, CostAwareTPE):
                self._study.sampler.set_costs(self._costs(), cost_weight)
            self._storage.limited = SAMPLERS[kind].bounded
            if attempt == 0 and number < len(self._start_with):
                self._study.enqueue_trial(_by_sampler_names(self._space, self._start_with[number]))
            trial = self._ask()
            chosen, sampled = resolve(self._space, partial(suggest, trial))
            suggestion = self._suggestion(number, chosen, sampled)
            earlier = self._tried.get(_key(suggestion.params))
            if earlier is None:
                return self._accept(number, suggestion, trial._trial_id)
            self._tell_repeat(trial._trial_id, earlier)
        return self._suggest_untried(number)

    def restore(self, past: Trial, scores: Mapping[int, float]) -> bool:
        """Take over a trial from the event log; call in the order of numbers.

        Args:
            past: the trial.
            scores: its first objective by epoch until the end of its last whole segment.

        Returns:
            False if it does not fit the space, which has been edited: then the sampler does not see it.
        """
        suggestion = Suggestion(past.params, past.sampled, past.seed)
        try:
            self._accept(past.number, suggestion, self._create(past.sampled))
        except ValueError:
            return False
        if past.state in ("complete", "pruned", "failed"):
            self.finish(past.number, past.state, past.values, scores)
        elif scores:
            self.pause(past.number, scores)
        return True

    def warm_start(self, other: StudyState) -> int:
        """Let the sampler know the ended trials of another study that fit the space; how many they are."""
        learned = 0
        for past in other.trials.values():
            if (
                past.values is None
                or past.state == "failed"
                or len(past.values) != len(self._study.directions)
            ):
                continue
            try:
                own = self._create(past.sampled)
            except ValueError:
                continue
            learned += 1
            whole = past.state == "complete" or self._several
            self._storage.end(own, other.scores(past, past.reached), past.values if whole else None)
        return learned

    def pause(self, number: int, scores: Mapping[int, float]) -> None:
        """The trial waits at a rung.

        Args:
            number: the trial's.
            scores: the first objective by epoch so far, as far as it is finite.
        """
        own = self._own.get(number)
        # Optuna knows no intermediate values of several objectives.
        if own is not None and not self._several:
            self._storage.score(own, scores)

    def finish(
        self, number: int, state: TrialState, values: list[float] | None, scores: Mapping[int, float]
    ) -> None:
        """The trial's terminal state.

        A failed trial, or one whose last objective is not finite, counts as pruned without a result, the
        worst there is: where training diverges, memory runs out or a limit is exceeded, the sampler should
        not look again.

        Args:
            number: the trial's.
            state: how it ended.
            values: all objectives, of a complete trial.
            scores: the first objective by epoch, as far as it is finite.
        """
        own = self._own.get(number)
        if own is None:
            return
        if state == "pruned":
            values = None
        elif state == "failed" or values is None:
            values, scores = None, {}
        self._storage.end(own, scores, values)

    def tell_seconds(self, number: int, seconds: float) -> None:
        """An epoch of the trial took so many seconds."""
        own = self._own.get(number)
        if own is not None and seconds > 0:
            self._seconds[own] = seconds

    def _costs(self) -> EpochCosts | None:
        newest = sorted(self._seconds)[-NEWEST:]
        trials = [self._storage.get_trial(one) for one in newest]
        if not any(trial.distributions for trial in trials):
            return None
        return EpochCosts(trials, [self._seconds[one] for one in newest])

    def _ask(self) -> optuna.Trial:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental samplers, fixed values out of range
            return self._study.ask()

    def _suggestion(self, number: int, chosen: Params, sampled: Params) -> Suggestion:
        return Suggestion(
            complete(chosen, self._space.model), sampled, seed_from(self._seed, "trial", number)
        )

    def _accept(self, number: int, suggestion: Suggestion, own: int) -> Suggestion:
        self._own[number] = own
        self._tried.setdefault(_key(suggestion.params), number)
        return suggestion

    def _tell_repeat(self, own: int, earlier: int) -> None:
        """The same configuration has the same value: the sampler learns it, and nothing is trained."""
        self.repeats += 1
        self._storage.repeat(own, self._own[earlier])

    def _suggest_untried(self, number: int) -> Suggestion | None:
        """A configuration that has not been tried; None if there is provably none."""
        for chosen, sampled in self._untried.candidates(number):
            suggestion = self._suggestion(number, chosen, sampled)
            if _key(suggestion.params) not in self._tried:
                return self._accept(number, suggestion, self._create(suggestion.sampled))
        return None

    def _create(self, sampled: Params) -> int:
        template = _running(self._space, sampled)
        return self._storage.create_new_trial(self._study._study_id, template_trial=template)


def _key(params: Params) -> str:
    return json.dumps(params, sort_keys=True)


def _by_sampler_names(space: Space, start: Params) -> Params:
    """The values of a start under every name that the sampler may ask for."""
    return {
        alternative.sampled_as: start[name]
        for name, alternatives in space.parameters.items()
        if name in start
        for alternative in alternatives
        if not isinstance(alternative.values, Constant)
    }


def check_sampler(kind: str, space: Space) -> None:
    """Raises ExperimentError if the sampler lacks a package, or cannot list the space."""
    known = SAMPLERS[kind]
    size = space.size() if known.needs_list else 0
    if size is None:
        raise ExperimentError(
            f"search.sampler: {kind} needs a space of lists and steps, but this one has continuous ranges. "
            "Add a step to each, or choose another sampler."
        )
    if size > LARGEST_LIST:
        raise ExperimentError(
            f"search.sampler: {kind} would list {size:,} configurations, more than {LARGEST_LIST:,}. "
            "Make the space smaller, or choose random."
        )
    if known.package and importlib.util.find_spec(known.package) is None:
        raise ExperimentError(
            f"search.sampler: {kind} needs the package {known.package}, which is not installed. Type "
            f"`pip install {known.package}`, or choose tpe."
        )


def make_sampler(kind: str, seed: int, call: str) -> BaseSampler:
    """An Optuna sampler by its name in experiment files, for one call of a study's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made: BaseSampler = SAMPLERS[kind].load()(seed_from(seed, "ask", call), seed)
        return made


def _running(space: Space, sampled: Params) -> FrozenTrial:
    return FrozenTrial(
        number=-1,
        state=OptunaState.RUNNING,
        value=None,
        datetime_start=datetime.datetime.now(tz=datetime.UTC).replace(tzinfo=None),
        datetime_complete=None,
        params=dict(sampled),
        distributions=distributions_of(space, sampled),
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=-1,
    )
