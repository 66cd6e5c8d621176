"""Optuna's samplers behind ask, pause and finish.

The study that the sampler sees lives in memory and is rebuilt from the event log, so asking costs
milliseconds and needs no database. It differs from what is stored in one thing: a trial that is paused or
trains on is shown with what it has scored so far, to TPE by the score after equally many epochs.
"""

from __future__ import annotations

import datetime
import importlib.util
import json
import math
import random
import warnings
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, Trial
from optuna.trial import TrialState as OptunaState

from harness.errors import ExperimentError
from harness.experiment.parameters import complete
from harness.experiment.space import (
    Constant,
    Distribution,
    FloatRange,
    IntRange,
    Space,
    configurations,
    defaults,
    drawn_at_random,
    on_a_step,
    resolve,
)
from harness.records import Params, Scalar, TrialState
from harness.seeds import seed_from
from harness.sweep.costs import EpochCosts, Floats
from harness.sweep.history import History, TrialHistory
from harness.tracking.optuna_space import distributions_of

ATTEMPTS = 20
"""How often, in all, a sampler is asked for a configuration that has not been tried; half of them random."""
LEARNING = ("tpe", "gp", "cmaes", "nsga2")
"""Samplers that go by results. Unless told what to start with, they begin with the defaults: with what the
search has to beat, and with a first result that is worth learning from."""
BEST, NEWEST = 100, 400
"""Trials that TPE sees of a large study."""
LARGEST_LIST = 100_000
"""Configurations that are listed at most."""
DRAWS = 1000
"""Random draws from a larger space, before all of its configurations are gone through in order."""


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
        maximize: Sequence[bool],
        start_with: Sequence[Params] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # its advice is for whoever uses it directly
        check_sampler(kind, space)
        self._space = space
        self._kind = kind
        self._seed = seed
        if not start_with and kind in LEARNING:
            start_with = [defaults(space)]
        self._start_with = start_with
        self._storage = _SamplersView(maximize, compared=kind == "tpe" and len(maximize) == 1)
        self._several = len(maximize) > 1
        self._study = optuna.create_study(
            storage=self._storage, directions=["maximize" if larger else "minimize" for larger in maximize]
        )
        self._own: dict[int, int] = {}
        """This study's trial ids by the trials' numbers; a repeated suggestion has no number."""
        self._seconds: dict[int, float] = {}
        """What an epoch took, by this study's trial ids."""
        self._tried: dict[str, int] = {}
        """Numbers by configuration."""
        self._unlisted: list[tuple[Params, Params]] | None = None
        """Configurations of a small space still to look at; None before they were needed."""
        self._is_listed = False
        """Whether the space is small enough for that."""
        self.repeats = 0
        """Suggestions that had been tried before and were not trained again."""

    def ask(self, number: int, thrift: float = 0.0) -> Suggestion | None:
        """The configuration of trial `number`; None if every one of the space has been tried.

        Args:
            number: the trial's.
            thrift: how much the costs of epochs count, from 0 (not at all) to 1 (TPE then weighs the expected
                improvement per second).
        """
        if self._kind == "grid":
            return self._untried(number)
        for attempt in range(ATTEMPTS):
            kind = self._kind if attempt < ATTEMPTS // 2 else "random"
            self._study.sampler = make_sampler(kind, self._seed, f"trial {number}, attempt {attempt}")
            if thrift and isinstance(self._study.sampler, _ThriftyTPE):
                self._study.sampler.spare(self._costs(), thrift)
            self._storage.limited = kind in ("tpe", "random")
            if attempt == 0 and number < len(self._start_with):
                self._study.enqueue_trial(_by_sampler_names(self._space, self._start_with[number]))
            trial = self._ask()
            chosen, sampled = resolve(self._space, partial(suggest, trial))
            suggestion = self._suggestion(number, chosen, sampled)
            earlier = self._tried.get(_key(suggestion.params))
            if earlier is None:
                return self._accept(number, suggestion, trial._trial_id)
            self._tell_repeat(trial._trial_id, earlier)
        return self._untried(number)

    def restore(self, past: TrialHistory, scores: Mapping[int, float]) -> bool:
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

    def learn(self, other: History) -> int:
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

    def time(self, number: int, seconds: float) -> None:
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

    def _ask(self) -> Trial:
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

    def _untried(self, number: int) -> Suggestion | None:
        """A configuration that has not been tried; None if there is provably none."""
        for chosen, sampled in self._candidates(number):
            suggestion = self._suggestion(number, chosen, sampled)
            if _key(suggestion.params) not in self._tried:
                return self._accept(number, suggestion, self._create(suggestion.sampled))
        return None

    def _candidates(self, number: int) -> Iterator[tuple[Params, Params]]:
        """Configurations that may not have been tried yet; all others have been.

        Where they can be listed, in a random order. Else drawn at random, and where that finds only what is
        known (when most choices lead to few configurations and a rare one to many), all there are.
        """
        if self._unlisted is None:
            size = self._space.size()
            self._is_listed = size is not None and size <= LARGEST_LIST
            every = list(configurations(self._space)) if self._is_listed else []
            order = np.random.default_rng(seed_from(self._seed, "grid")).permutation(len(every))
            self._unlisted = [every[index] for index in order]
        while self._unlisted:
            yield self._unlisted.pop()
        if not self._is_listed:
            draw = drawn_at_random(random.Random(seed_from(self._seed, "untried", number)))  # noqa: S311
            for _ in range(DRAWS):
                yield resolve(self._space, draw)
            yield from configurations(self._space)

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


def good_ones(trials: int) -> int:
    """How many of so many trials TPE takes for good ones (in Optuna 5)."""
    return min(math.ceil(trials / 10), 25)


@dataclass(slots=True)
class _Results:
    """Of one trial."""

    scores: Mapping[int, float]
    """The first objective by epoch."""
    values: Sequence[float] | None = None
    """All objectives, once it is complete."""

    def at(self, epoch: int) -> float | None:
        """The first objective after so many epochs; a complete trial keeps its last one."""
        found = self.scores.get(epoch)
        if found is None and self.values is not None and epoch >= max(self.scores, default=0):
            return self.values[0]
        return found


class _SamplersView(InMemoryStorage):
    """What the sampler sees: trials with comparable results, and not too many.

    To TPE with one objective, every trial is shown by its score after the same number of epochs (as in BOHB,
    Falkner et al. 2018, arXiv:1807.01774): the largest that twice as many trials have reached as TPE takes
    for good ones, so that these are chosen among others. Trials that have come so far look complete with that
    score, the others pruned at their last. By the bare states, the few early trials that were trained to the
    end would outrank whatever does better after fewer epochs, and a trial that is trained on would look like
    one without a result. Other samplers keep notes on complete trials, so these must stay what they are: they
    see trials that have not ended as pruned at their last score.

    TPE's cost grows with the trials it sees. It splits them into at most 25 good ones and the rest, of
    which older ones count ever less, so beyond `BEST` + `NEWEST` trials it is shown those only.
    """

    def __init__(self, maximize: Sequence[bool], *, compared: bool) -> None:
        super().__init__()
        self._compared = compared
        """Whether trials are shown by their scores after equally many epochs."""
        self.limited = False
        """Whether the sampler that asks now is to see a part only."""
        self._signs = [-1.0 if larger else 1.0 for larger in maximize]
        self._results: dict[int, _Results] = {}
        """By trial id."""
        self._reached: Counter[int] = Counter()
        """How many trials have a score, by epoch."""
        self._last: list[int] = []
        """The last epochs of the complete trials, sorted."""
        self._level = 0
        """The epoch by whose scores trials are compared."""
        self._shown: dict[int, FrozenTrial] = {}
        """In disguise, by id."""
        self._ranks: list[list[tuple[float, ...]]] = [[] for _ in maximize]
        """For every objective: kind, epoch, value and id of the trials with a result, the best first."""
        self._places: dict[int, list[tuple[float, ...]]] = {}
        """Where a trial, by its id, stands in them."""

    def score(self, trial_id: int, scores: Mapping[int, float]) -> None:
        """The trial has these scores by epoch."""
        self._enter(trial_id, _Results(scores))

    def end(self, trial_id: int, scores: Mapping[int, float], values: Sequence[float] | None) -> None:
        """The trial has ended with these scores by epoch; with all objectives, if it is complete."""
        state = OptunaState.PRUNED if values is None else OptunaState.COMPLETE
        self.set_trial_state_values(trial_id, state, values)
        self._enter(trial_id, _Results(scores, values))

    def repeat(self, trial_id: int, earlier_id: int) -> None:
        """The trial would be the same as an earlier one: it has its results, if that one is complete."""
        earlier = self._results.get(earlier_id)
        if earlier is None or earlier.values is None:
            self.set_trial_state_values(trial_id, OptunaState.FAIL)
        else:
            self.set_trial_state_values(trial_id, OptunaState.COMPLETE, earlier.values)
            self._results[trial_id] = earlier  # but it is no further trial that has come so far
            self._rank(trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[OptunaState] | None = None
    ) -> list[FrozenTrial]:
        """All trials, or the part that is shown, in disguise."""
        if self._compared:
            self._choose_level()
        trials = super().get_all_trials(study_id, deepcopy)
        if self.limited and len(trials) > BEST + NEWEST:
            wanted = {int(place[-1]) for rank in self._ranks for place in rank[: BEST // len(self._ranks)]}
            # With one study in the storage, ids are places in the list.
            trials = [trials[one] for one in sorted(wanted | set(range(len(trials) - NEWEST, len(trials))))]
        shown = map(self._disguised, trials)
        return [trial for trial in shown if states is None or trial.state in states]

    def _enter(self, trial_id: int, results: _Results) -> None:
        if trial_id in self._results:
            self._reached.subtract(self._results[trial_id].scores.keys())
        self._results[trial_id] = results
        self._reached.update(results.scores.keys())
        if results.values is not None:
            insort(self._last, max(results.scores, default=0))
        self._shown.pop(trial_id, None)
        self._rank(trial_id)

    def _choose_level(self) -> None:
        good = good_ones(len(self._results))
        epochs = sorted((epoch for epoch, count in self._reached.items() if count), reverse=True)
        # Trials that were complete before that epoch count there, too, but not alone.
        sufficient = (
            epoch
            for epoch in epochs
            if self._reached[epoch] >= good
            and self._reached[epoch] + bisect_left(self._last, epoch) >= 2 * good
        )
        level = next(sufficient, epochs[-1] if epochs else 0)
        if level != self._level:
            self._level = level
            self._shown.clear()
            for trial_id in self._results:
                self._rank(trial_id)

    def _rank(self, trial_id: int) -> None:
        """As TPE ranks: complete ones by value; then pruned ones, those that came further first."""
        for rank, place in zip(self._ranks, self._places.pop(trial_id, ()), strict=False):
            del rank[bisect_left(rank, place)]
        results = self._results[trial_id]
        value = results.at(self._level)
        if not self._compared:
            values = zip(self._signs, results.values or (), strict=False)
            keys = [(0.0, 0.0, sign * own) for sign, own in values]
        elif value is not None:
            keys = [(0.0, 0.0, self._signs[0] * value)]
        elif results.scores:
            last = max(results.scores)
            keys = [(1.0, -float(last), self._signs[0] * results.scores[last])]
        else:
            return
        self._places[trial_id] = [(*key, float(trial_id)) for key in keys]
        for rank, place in zip(self._ranks, self._places[trial_id], strict=False):
            insort(rank, place)

    def _disguised(self, trial: FrozenTrial) -> FrozenTrial:
        results = self._results.get(trial._trial_id)
        if results is None or not results.scores or (trial.state.is_finished() and not self._compared):
            return trial
        shown = self._shown.get(trial._trial_id)
        if shown is None:
            value = results.at(self._level) if self._compared else None
            shown = self._shown[trial._trial_id] = _in_disguise(trial, value, results.scores)
        return shown


def _in_disguise(trial: FrozenTrial, value: float | None, scores: Mapping[int, float]) -> FrozenTrial:
    """The trial as complete with the value, or without one as pruned after its last score."""
    last = max(scores)
    return FrozenTrial(
        number=trial.number,
        state=OptunaState.PRUNED if value is None else OptunaState.COMPLETE,
        value=scores[last] if value is None else value,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_start,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
        intermediate_values={last: scores[last]},
        trial_id=trial._trial_id,
    )


class _ThriftyTPE(TPESampler):
    """TPE that can prefer what costs less.

    Where time is limited, what counts is the expected improvement per second (Snoek et al. 2012,
    arXiv:1206.2944), or rather per second^a with `a` falling from 1 to 0 while the time runs out (Lee et al.
    2020, arXiv:2003.10870): cheap configurations teach much at first, and the best may be expensive.
    """

    _thrift = 0.0
    _costs: EpochCosts | None = None

    def spare(self, costs: EpochCosts | None, thrift: float) -> None:
        """Weigh improvements by costs to the power of `thrift`."""
        self._costs, self._thrift = costs, thrift

    def _compute_acquisition_func(self, samples: dict[str, Floats], mpe_below: Any, mpe_above: Any) -> Floats:
        gain: Floats = super()._compute_acquisition_func(samples, mpe_below, mpe_above)
        return gain - self._thrift * self._costs.effect(samples) if self._costs else gain


def check_sampler(kind: str, space: Space) -> None:
    """Raises ExperimentError if the sampler lacks a package, or cannot list the space."""
    size = space.size() if kind == "grid" else 0
    if size is None:
        raise ExperimentError(
            "search.sampler: grid needs a space of lists and steps, but this one has continuous ranges. Add "
            "a step to each, or choose another sampler."
        )
    if size > LARGEST_LIST:
        raise ExperimentError(
            f"search.sampler: the grid would have {size:,} configurations, more than {LARGEST_LIST:,}. "
            "Make the space smaller, or choose random."
        )
    package = {"gp": "torch", "cmaes": "cmaes"}.get(kind)
    if package is not None and importlib.util.find_spec(package) is None:
        raise ExperimentError(
            f"search.sampler: {kind} needs the package {package}, which is not installed. Type "
            f"`pip install {package}`, or choose tpe."
        )


def make_sampler(kind: str, seed: int, call: str) -> BaseSampler:
    """An Optuna sampler by its name in experiment files, for one call of a study's."""
    own = seed_from(seed, "ask", call)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if kind == "random":
            return RandomSampler(seed=own)
        if kind == "qmc":
            # One sequence for the whole study: it goes by the number of trials there are.
            return QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
        if kind == "cmaes":
            return CmaEsSampler(seed=own, warn_independent_sampling=False)
        if kind == "nsga2":
            return NSGAIISampler(seed=own)
        if kind == "gp":
            return GPSampler(seed=own, deterministic_objective=False)
        # Conditional parameters make groups of trials that share a sub-space.
        return _ThriftyTPE(seed=own, multivariate=True, group=True, constant_liar=True)


def suggest(trial: Trial, name: str, among: Distribution) -> Scalar:
    """Let the sampler choose a value."""
    if isinstance(among, IntRange):
        return trial.suggest_int(name, among.low, among.high, step=among.step or 1, log=among.log)
    if isinstance(among, FloatRange):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a last step that is a rounding error away from the range's end
            value = trial.suggest_float(name, among.low, among.high, step=among.step, log=among.log)
        return value if among.step is None else on_a_step(among, value)
    chosen = trial.suggest_categorical(name, among.choices)
    assert chosen is not None
    return chosen


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
