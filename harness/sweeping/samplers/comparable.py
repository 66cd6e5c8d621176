"""What a sampler sees of a study: trials with comparable results, and not too many."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from harness.experiment.experiment import Objective

BEST, NEWEST = 100, 400
"""Trials that a bounded sampler sees of a large study."""
NEWEST_INFEASIBLE = 100
"""Infeasible suggestions that a bounded sampler sees beside them."""
CONSTRAINT = "cost"
"""The name of the constraint that infeasible suggestions do not meet."""


def tpe_gamma(trials: int) -> int:
    """How many of so many trials TPE takes for good ones (Optuna 5's default for its `gamma`)."""
    return min(math.ceil(trials / 10), 25)


@dataclass(slots=True)
class _Results:
    """The results of one trial."""

    scores: Mapping[int, float]
    """The first objective by epoch."""
    values: Sequence[float] | None = None
    """All objectives, once the trial is complete."""

    def at(self, epoch: int) -> float | None:
        """The first objective after so many epochs; a complete trial keeps its last one."""
        found = self.scores.get(epoch)
        if found is None and self.values is not None and epoch >= max(self.scores, default=0):
            return self.values[0]
        return found


class ComparableTrials(InMemoryStorage):
    """What the sampler sees: trials with comparable results, and not too many.

    To TPE with one objective, every trial is shown by its score after the same number of epochs (as in BOHB,
    Falkner et al. 2018, arXiv:1807.01774): the largest that twice as many trials have reached as TPE takes
    for good ones, so that these are chosen among others. Trials that have come so far look complete with that
    score, the others pruned at their last. By the bare states, the few early trials that were trained to the
    end would outrank whatever does better after fewer epochs, and a trial that is trained on would look like
    one without a result. Other samplers keep notes on complete trials, so these must stay what they are: they
    see trials that have not ended as pruned at their last score.

    A suggestion that was infeasible looks pruned without a result, with a constraint that it does not meet,
    as Optuna knows them: the more it exceeds what was possible, the worse. Samplers that see complete trials
    only do not notice it.

    TPE's cost grows with the trials it sees. It splits them into at most 25 good ones and the rest, of
    which older ones count ever less, so beyond `BEST` + `NEWEST` trials it is shown those only.
    """

    def __init__(self, objectives: Sequence[Objective], *, compared: bool) -> None:
        super().__init__()
        self._compared = compared
        """Whether trials are shown by their scores after equally many epochs."""
        self.limited = False
        """Whether the sampler that asks now is to see a part only."""
        self._objectives = objectives
        self._results: dict[int, _Results] = {}
        """The results so far, by trial id."""
        self._reached: Counter[int] = Counter()
        """How many trials have a score, by epoch."""
        self._last: list[int] = []
        """The last epochs of the complete trials, sorted."""
        self._comparison_epoch = 0
        """The epoch by whose scores trials are compared."""
        self._shown: dict[int, FrozenTrial] = {}
        """Trials as the sampler is shown them, by id."""
        self._ranks: list[list[tuple[float, ...]]] = [[] for _ in objectives]
        """For every objective: kind, epoch, value and id of the trials with a result, the best first."""
        self._places: dict[int, list[tuple[float, ...]]] = {}
        """The entries of `_ranks` that a trial has, by its id."""
        self._infeasible: dict[int, FrozenTrial] = {}
        """Infeasible suggestions as the sampler is shown them, by trial id."""
        self._waiting: list[int] = []
        """Ids of trials whose parameters were given before they were asked for."""
        self._passed_over: set[int] = set()
        """Ids of suggestions that nothing can be learned from."""

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

    def refuse(self, trial_id: int, excess: float) -> None:
        """The trial was infeasible, by so much (above 0): it is not trained, and shown with a constraint."""
        self.pass_over(trial_id)
        trial = self.get_trial(trial_id)
        self._infeasible[trial_id] = create_trial(
            state=OptunaState.PRUNED,
            params=trial.params,
            distributions=trial.distributions,
            constraints={CONSTRAINT: excess},
        )
        self._infeasible[trial_id].number = trial.number
        self._infeasible[trial_id]._trial_id = trial_id

    def forgive(self, trial_id: int) -> None:
        """The trial is not taken for infeasible any more, because its configuration is trained after all."""
        self._infeasible.pop(trial_id, None)

    def pass_over(self, trial_id: int) -> None:
        """The trial came to nothing, and takes no place among those that a bounded sampler sees."""
        self.set_trial_state_values(trial_id, OptunaState.FAIL)
        self._passed_over.add(trial_id)

    def ranking(self) -> list[int]:
        """The ids of the trials that have a result by the first objective, the best first, and of those that
        have ended without one."""
        if self._compared:
            self._choose_comparison_epoch()
        ranked = [int(place[-1]) for place in self._ranks[0]]
        return [*ranked, *sorted(self._results.keys() - self._places.keys())]

    @property
    def infeasible(self) -> int:
        """How many infeasible suggestions the sampler is shown."""
        return min(len(self._infeasible), NEWEST_INFEASIBLE) if self.limited else len(self._infeasible)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[OptunaState] | None = None
    ) -> list[FrozenTrial]:
        """All trials, or the part of a large study that is shown, as the sampler is to see them."""
        if states == (OptunaState.WAITING,):  # asked for each new trial
            return [trial for trial in self._enqueued() if trial.state == OptunaState.WAITING]
        if self._compared:
            self._choose_comparison_epoch()
        trials = super().get_all_trials(study_id, deepcopy)
        if self.limited:
            trials = self._limit(trials)
        shown = map(self._as_seen, trials)
        return [trial for trial in shown if states is None or trial.state in states]

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """The id of a new trial."""
        created = super().create_new_trial(study_id, template_trial)
        if template_trial is not None and template_trial.state == OptunaState.WAITING:
            self._waiting.append(created)
        return created

    def _enqueued(self) -> list[FrozenTrial]:
        """Trials whose parameters were given before they were asked for, as far as they still wait."""
        found = [self.get_trial(one) for one in self._waiting]
        self._waiting = [one._trial_id for one in found if one.state == OptunaState.WAITING]
        return found

    def _limit(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """The best and the newest; with one study in the storage, trial ids are places in the list."""
        own = [one for one in range(len(trials)) if one not in self._passed_over]
        if len(own) > BEST + NEWEST:
            best = {int(place[-1]) for rank in self._ranks for place in rank[: BEST // len(self._ranks)]}
            own = sorted(best | set(own[-NEWEST:]))
        infeasible = sorted(self._infeasible)[-NEWEST_INFEASIBLE:]
        return [trials[one] for one in sorted([*own, *infeasible])]

    def _enter(self, trial_id: int, results: _Results) -> None:
        if trial_id in self._results:
            self._reached.subtract(self._results[trial_id].scores.keys())
        self._results[trial_id] = results
        self._reached.update(results.scores.keys())
        if results.values is not None:
            insort(self._last, max(results.scores, default=0))
        self._shown.pop(trial_id, None)
        self._rank(trial_id)

    def _choose_comparison_epoch(self) -> None:
        good = tpe_gamma(len(self._results))
        epochs = sorted((epoch for epoch, count in self._reached.items() if count), reverse=True)
        # Trials that were complete before that epoch count there, too, but not alone.
        sufficient = (
            epoch
            for epoch in epochs
            if self._reached[epoch] >= good
            and self._reached[epoch] + bisect_left(self._last, epoch) >= 2 * good
        )
        epoch = next(sufficient, epochs[-1] if epochs else 0)
        if epoch != self._comparison_epoch:
            self._comparison_epoch = epoch
            self._shown.clear()
            for trial_id in self._results:
                self._rank(trial_id)

    def _rank(self, trial_id: int) -> None:
        """Rank a trial as TPE does: complete ones by value, pruned ones after them by how far they came."""
        for rank, place in zip(self._ranks, self._places.pop(trial_id, ()), strict=False):
            del rank[bisect_left(rank, place)]
        results = self._results[trial_id]
        value = results.at(self._comparison_epoch)
        if not self._compared:
            values = zip(self._objectives, results.values or (), strict=False)
            keys = [(0.0, 0.0, -one.larger_is_better(own)) for one, own in values]
        elif value is not None:
            keys = [(0.0, 0.0, -self._objectives[0].larger_is_better(value))]
        elif results.scores:
            last = max(results.scores)
            keys = [(1.0, -float(last), -self._objectives[0].larger_is_better(results.scores[last]))]
        else:
            return
        self._places[trial_id] = [(*key, float(trial_id)) for key in keys]
        for rank, place in zip(self._ranks, self._places[trial_id], strict=False):
            insort(rank, place)

    def _as_seen(self, trial: FrozenTrial) -> FrozenTrial:
        if trial._trial_id in self._infeasible:
            return self._infeasible[trial._trial_id]
        results = self._results.get(trial._trial_id)
        if results is None or not results.scores or (trial.state.is_finished() and not self._compared):
            return trial
        shown = self._shown.get(trial._trial_id)
        if shown is None:
            value = results.at(self._comparison_epoch) if self._compared else None
            shown = self._shown[trial._trial_id] = _as_seen_by_tpe(trial, value, results.scores)
        return shown


def _as_seen_by_tpe(trial: FrozenTrial, value: float | None, scores: Mapping[int, float]) -> FrozenTrial:
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
