"""What a confirmation has found: means over seeds, who is the best or tied, whose model stands for it, and
luck."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from harness.comparison.seeds import (
    LEAST,
    Comparison,
    Difference,
    Interval,
    chosen_interval,
    compare,
    mean_interval,
)
from harness.experiment.confirmation import ConfirmationConfig, ConfirmedConfig
from harness.records import Scalar
from harness.study.state import StudyState
from harness.study.trial import Trial

Verdict = Literal["best", "tied", "behind", "clearly behind", "failed", "unfinished"]
"""`behind`: told from the best by all seeds. `clearly behind`: after the first seeds already, so that there
were no more. `unfinished`: too few seeds to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """One configuration; figures are None where there are too few seeds to tell them."""

    trial: int
    """The number of its trial in the study that is confirmed."""
    sweep_score: float
    scores: tuple[float, ...]
    """After training, by seed, as far as they are known."""
    mean: float | None
    deviation: float | None
    """The standard deviation between seeds."""
    interval: Interval | None
    """Of the mean."""
    behind: Difference | None
    """How far its mean is behind that of the best, in the direction of the objective; None of the best
    itself."""
    verdict: Verdict
    trials: tuple[int, ...]
    """Its trials in the confirmation, in the order of the seeds."""
    parameters: int | None
    """The number of weights of its network."""
    differs: dict[str, Scalar]
    """Its values of the parameters in which the configurations differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Luck:
    """How much of the sweep's best score was luck: it has been the highest of many, and fresh seeds are
    not."""

    trial: int
    """The sweep's best, in the study that is confirmed."""
    score: float
    """What it scored there."""
    mean: float
    """What the same configuration scores on fresh seeds, on the same validation images."""
    seeds: int
    bias: float
    """How much better the sweep's score was, in the direction of the objective."""
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that a confirmation has found in validation."""

    study: str
    """The one that is confirmed."""
    objective: str
    maximize: bool
    seeds: int
    complete: bool
    """Whether all trainings that are needed have ended."""
    configurations: tuple[Confirmed, ...]
    """The best mean first; those that have failed last."""
    declared: bool
    """Whether one is told to be the best."""
    tied: tuple[int, ...]
    """Trials of the study whose configurations cannot be told from the best, itself first; of that the only
    one where it is declared. Empty while too little is known."""
    chosen: int | None
    """The trial of the study whose configuration is chosen: the one with the best mean."""
    chosen_interval: Interval | None
    """Of its mean over all seeds, allowing for its having been chosen as the best."""
    champion: int | None
    """The trial of the confirmation whose model stands for it: the one in the middle of its seeds by score,
    of an even number the lower one."""
    luck: Luck | None


def findings(state: StudyState) -> Findings:
    """What the log of a confirmation says.

    Args:
        state: of the confirmation, which must have begun.
    """
    confirmation = state.experiment.confirmation
    assert confirmation is not None
    runs = _runs(confirmation, state)
    scores = {index: _upwards(state, trials) for index, trials in runs.items()}
    whole = {index: found for index, found in scores.items() if len(found) == len(confirmation.seeds)}
    failed = {index for index, trials in runs.items() if _has_failed(trials)}
    complete = state.is_complete
    dropped = {
        index: found
        for index, found in scores.items()
        if complete and index not in whole and index not in failed and len(found) >= LEAST
    }
    comparison = compare(whole, dropped) if complete and whole else None
    chosen = comparison.best if comparison else None
    order = [*(comparison.order if comparison else sorted(scores, key=lambda one: _mean_key(scores[one])))]
    order += [index for index in runs if index not in order]
    return Findings(
        study=confirmation.study,
        objective=state.objective.name,
        maximize=state.objective.maximize,
        seeds=len(confirmation.seeds),
        complete=complete,
        configurations=tuple(
            _confirmed(
                state, confirmation, index, runs[index], _verdict(index, failed, comparison), comparison
            )
            for index in order
        ),
        declared=comparison is not None and comparison.is_declared and len(runs) > 1,
        tied=tuple(confirmation.configurations[index].trial for index in comparison.tied)
        if comparison
        else (),
        chosen=None if chosen is None else confirmation.configurations[chosen].trial,
        chosen_interval=None
        if chosen is None or comparison is None
        else _signed(state, chosen_interval(scores[chosen], len(runs))),
        champion=None if chosen is None else _middle(state, runs[chosen]),
        luck=_luck(state, confirmation.configurations[0], scores[0]),
    )


def _runs(confirmation: ConfirmationConfig, state: StudyState) -> dict[int, list[Trial]]:
    """The trials of every configuration, by its position, in the order of the seeds."""
    runs: dict[int, dict[int, Trial]] = {index: {} for index in range(len(confirmation.configurations))}
    for trial in state.trials.values():
        place = confirmation.place(trial.params, trial.seed)
        if place is not None:
            runs[place[0]][place[1]] = trial
    return {index: [trials[position] for position in sorted(trials)] for index, trials in runs.items()}


def _has_failed(trials: list[Trial]) -> bool:
    """Whether one of its trainings has ended without a score."""
    return any(trial.has_ended and (trial.state != "complete" or trial.score is None) for trial in trials)


def _upwards(state: StudyState, trials: list[Trial]) -> list[float]:
    """The scores of the complete ones, larger-is-better."""
    return [
        state.objective.larger_is_better(trial.score)
        for trial in trials
        if trial.state == "complete" and trial.score is not None
    ]


def _mean_key(scores: list[float]) -> tuple[bool, float]:
    return not scores, -fmean(scores) if scores else 0.0


def _signed(state: StudyState, found: Interval) -> Interval:
    """An interval of larger-is-better scores as one of the objective itself."""
    return found if state.objective.maximize else Interval(-found.high, -found.low)


def _verdict(index: int, failed: set[int], comparison: Comparison | None) -> Verdict:
    if index in failed:
        return "failed"
    if comparison is None or index not in comparison.order:
        return "unfinished"
    if index in comparison.tied:
        return "best" if comparison.is_declared else "tied"
    return "behind"


def _confirmed(
    state: StudyState,
    confirmation: ConfirmationConfig,
    index: int,
    trials: list[Trial],
    verdict: Verdict,
    comparison: Comparison | None,
) -> Confirmed:
    configuration = confirmation.configurations[index]
    upwards = _upwards(state, trials)
    scores = tuple(trial.score for trial in trials if trial.state == "complete" and trial.score is not None)
    if verdict == "behind" and len(scores) < len(confirmation.seeds):
        verdict = "clearly behind"
    enough = len(scores) >= LEAST
    model = next((trial.model for trial in trials if trial.model is not None), None)
    return Confirmed(
        trial=configuration.trial,
        sweep_score=configuration.score,
        scores=scores,
        mean=fmean(scores) if scores else None,
        deviation=stdev(scores) if enough else None,
        interval=_signed(state, mean_interval(upwards)) if enough else None,
        behind=comparison.behind.get(index) if comparison and index not in comparison.order[:1] else None,
        verdict=verdict,
        trials=tuple(trial.number for trial in trials),
        parameters=model.parameters if model else None,
        differs=_differing(confirmation, configuration),
    )


def _differing(confirmation: ConfirmationConfig, configuration: ConfirmedConfig) -> dict[str, Scalar]:
    """The parameters that have not the same value in all configurations, as this one has them."""
    every = [one.params for one in confirmation.configurations]
    return {
        name: value
        for name, value in configuration.params.items()
        if any(other.get(name) != value for other in every)
    }


def _middle(state: StudyState, trials: list[Trial]) -> int:
    """The trial whose score is the median; of an even number the worse one of the two."""
    ranked = sorted(trials, key=lambda trial: state.objective.larger_is_better(trial.score or 0.0))
    return ranked[(len(ranked) - 1) // 2].number


def _luck(state: StudyState, first: ConfirmedConfig, upwards: list[float]) -> Luck | None:
    """What the sweep's best owes to luck; None before two fresh seeds are known."""
    if len(upwards) < LEAST:
        return None
    before = state.objective.larger_is_better(first.score)
    interval = mean_interval(upwards)
    mean = fmean(upwards)
    return Luck(
        trial=first.trial,
        score=first.score,
        mean=mean if state.objective.maximize else -mean,
        seeds=len(upwards),
        bias=before - mean,
        low=before - interval.high,
        high=before - interval.low,
    )
