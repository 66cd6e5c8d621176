"""Optuna's samplers behind ask, pause and finish.

The study that the sampler sees lives in memory and is rebuilt from the event log, so asking costs
milliseconds and needs no database. It differs from what is stored in one thing: a trial that is paused or
trains on is shown with what it has scored so far, to TPE by the score after equally many epochs.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import optuna
from optuna.samplers import BaseSampler

from harness.experiment.drawing import defaults, most_probable
from harness.experiment.experiment import Objective
from harness.experiment.parameters import complete
from harness.experiment.samplers import SAMPLERS
from harness.experiment.space import Space, resolve
from harness.records import EarlierTrial, Params, TrialState
from harness.seeds import seed_from
from harness.study.trial import Trial
from harness.sweeping.samplers.comparable import NEWEST, ComparableTrials
from harness.sweeping.samplers.costs import EpochCosts
from harness.sweeping.samplers.making import check_sampler, make_sampler
from harness.sweeping.samplers.priors import MOST_RESULTS, RANDOM_CREDIT, Priors, RandomWithPriors
from harness.sweeping.samplers.reused import Fits
from harness.sweeping.samplers.suggesting import by_sampler_names, running, suggest
from harness.sweeping.samplers.tpe import CostAwareTPE
from harness.sweeping.samplers.untried import Untried

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
    known_as: str = field(default="", compare=False)
    """What a configuration is called that was known before the search; empty for what a sampler chose."""


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
        found_before: Sequence[Params] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # its advice is for whoever uses it directly
        check_sampler(kind, space)
        self._space = space
        self._kind = kind
        self._seed = seed
        self._start_with = [
            (start, f"configuration {number} of `start_with`") for number, start in enumerate(start_with, 1)
        ]
        """Configurations to begin with, and what they are called."""
        if not start_with and SAMPLERS[kind].learns:
            self._start_with = [(defaults(space), "the default configuration")]
        self._priors = space.priors if SAMPLERS[kind].takes_priors else {}
        """What the space says is probably good, by the sampler's names."""
        if self._priors:
            self._start_with.append((most_probable(space), "the configuration that is probably good"))
        self._start_with += [(start, "the best configuration of an earlier study") for start in found_before]
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
        self._refused: dict[str, int] = {}
        """Configurations that cannot be trained, by their parameters as JSON: this study's trial ids."""
        self._refusals: Counter[int] = Counter()
        """How many suggestions were refused for trials, by the trials' numbers."""
        self._untried = Untried(space, seed)
        self.fits = Fits()
        """With very many workers one fit serves several trials."""
        self.repeats = 0
        """Suggestions that had been tried before and were not trained again."""

    def ask(self, number: int, cost_weight: float = 0.0) -> Suggestion | None:
        """The configuration of trial `number`; None if every one of the space has been tried or refused.

        Args:
            number: the trial's.
            cost_weight: how much the costs of epochs count, from 0 (not at all) to 1 (TPE then weighs the
                expected improvement per second).
        """
        if SAMPLERS[self._kind].needs_list:
            return self._suggest_untried(number)
        refusals, start = self._refusals[number], number + self._refusals.total()
        call = f"trial {number}, refusal {refusals}" if refusals else f"trial {number}"
        for attempt in range(ATTEMPTS):
            kind = self._kind if attempt < ATTEMPTS // 2 else "random"
            self._storage.limited = SAMPLERS[kind].bounded
            if not attempt and (last := self.fits.last()):
                self._study.sampler = last
            else:
                self._prepare(make_sampler(kind, self._seed, f"{call}, attempt {attempt}"), cost_weight)
            is_start = attempt == 0 and start < len(self._start_with)
            if is_start:
                self._study.enqueue_trial(by_sampler_names(self._space, self._start_with[start][0]))
            trial = self._ask()
            chosen, sampled = resolve(self._space, partial(suggest, trial))
            suggestion = self._suggestion(number, chosen, sampled)
            key = _key(suggestion.params)
            if key in self._refused:
                self._storage.pass_over(trial._trial_id)
            elif key in self._tried:
                self._tell_repeat(trial._trial_id, self._tried[key])
            else:
                known_as = self._start_with[start][1] if is_start else ""
                return self._accept(number, replace(suggestion, known_as=known_as), trial._trial_id)
        return self._suggest_untried(number)

    def refuse(self, number: int, suggestion: Suggestion, excess: float) -> None:
        """What was suggested last, for trial `number`, cannot be trained: do not suggest it again.

        The sampler is told so as a constraint, and chooses another configuration for the same number.

        Args:
            number: the trial's.
            suggestion: the one that is refused.
            excess: by how much it exceeds what is possible, above 0.
        """
        key, own = _key(suggestion.params), self._own.pop(number)
        del self._tried[key]
        self._enter_refusal(number, key, own, excess)

    def readmit(self, number: int, params: Params, sampled: Params) -> Suggestion:
        """Trial `number` is to be a configuration that was refused before."""
        suggestion = Suggestion(params, sampled, seed_from(self._seed, "trial", number))
        return self._accept(number, suggestion, self._create(sampled))

    def restore_refusal(self, number: int, params: Params, sampled: Params, excess: float | None) -> None:
        """Take over a refusal from the event log; call in the log's order, before trial `number` is restored.

        Args:
            number: that of the trial that it was suggested for.
            params: the configuration's complete parameters.
            sampled: what the sampler chose.
            excess: by how much it exceeds what is possible; None if it may be suggested again by now.
        """
        try:
            own = self._create(sampled)
        except ValueError:  # it does not fit the space, which has been edited
            self._refusals[number] += 1
        else:
            self._enter_refusal(number, _key(params), own, excess)

    def _enter_refusal(self, number: int, key: str, own: int, excess: float | None) -> None:
        self._refusals[number] += 1
        if excess is None:
            self._storage.pass_over(own)
        else:
            self._storage.refuse(own, excess)
            self._refused[key] = own

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

    def warm_start(self, trials: Iterable[EarlierTrial]) -> int:
        """Let the sampler know trials of other studies, as far as they fit the space; how many they are."""
        learned = 0
        for past in trials:
            try:
                own = self._create(past.sampled)
            except ValueError:
                continue
            learned += 1
            self._storage.end(own, past.scores, past.values)
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

    def _prepare(self, sampler: BaseSampler, cost_weight: float) -> None:
        """Let this sampler choose next."""
        self._study.sampler = sampler
        if self._priors and len(ranking := self._storage.ranking()) < MOST_RESULTS:
            ranked = [self._storage.get_trial(one).params for one in ranking]
            if isinstance(sampler, CostAwareTPE):
                sampler.set_priors(Priors(self._priors, ranked))
            elif isinstance(sampler, RandomWithPriors):
                sampler.priors = Priors(self._priors, ranked, RANDOM_CREDIT)
        if isinstance(sampler, CostAwareTPE):
            if cost_weight:
                sampler.set_costs(self._costs(), cost_weight)
            if self._refused:
                sampler.set_infeasible(self._storage.infeasible)
            self.fits.keep(sampler)

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
        key = _key(suggestion.params)
        self._tried.setdefault(key, number)
        if key in self._refused:
            self._storage.forgive(self._refused.pop(key))
        return suggestion

    def _tell_repeat(self, own: int, earlier: int) -> None:
        """The same configuration has the same value: the sampler learns it, and nothing is trained."""
        self.repeats += 1
        self._storage.repeat(own, self._own[earlier])

    def _suggest_untried(self, number: int) -> Suggestion | None:
        """A configuration that has not been tried; None if there is provably none."""
        for chosen, sampled in self._untried.candidates(number):
            suggestion = self._suggestion(number, chosen, sampled)
            key = _key(suggestion.params)
            if key not in self._tried and key not in self._refused:
                return self._accept(number, suggestion, self._create(suggestion.sampled))
        return None

    def _create(self, sampled: Params) -> int:
        template = running(self._space, sampled)
        return self._storage.create_new_trial(self._study._study_id, template_trial=template)


def _key(params: Params) -> str:
    return json.dumps(params, sort_keys=True)
