"""Sentences on the ensembles of a study."""

from __future__ import annotations

from harness.analysis.tables import TEST, column_of_test
from harness.metrics import METRICS, VALIDATION
from harness.records import EnsembleSaved, Gain
from harness.study.finished import members_in_words
from harness.study.state import StudyState


def ensemble_sentence(state: StudyState, ensemble: EnsembleSaved) -> str:
    """What it is made of, its score beside that of the best trial alone, and its score on test images."""
    name, gain = state.objective.name, ensemble.gain
    tested = score_on_test_images(state, ensemble)
    on_test = "" if tested is None else f"; {column_of_test(state)} {tested:.4f}"
    return (
        f"ensemble {ensemble.number}, the mean of {members_in_words(ensemble)}: {name} {ensemble.score:.4f}, "
        f"trial {gain.trial} alone {gain.score:.4f}{on_test}"
    )


def gain_sentence(state: StudyState, ensemble: EnsembleSaved) -> str:
    """What the ensemble is worth beside the best trial alone."""
    gain, noun = ensemble.gain, state.started.dataset.noun
    images = f"{sum(map(sum, ensemble.evaluation.confusion)):,} validation {noun}s"
    chosen = f"{_signed(state, gain.difference)} on the {images} that it was chosen by"
    if gain.held_out is None:
        return f"{chosen}; how much of that is luck is not known."
    return f"{chosen}; {_held_out(state, gain)}: {_verdict(gain, images)}."


def _held_out(state: StudyState, gain: Gain) -> str:
    interval = ""
    if gain.low is not None and gain.high is not None:
        interval = f" ({_number(state, gain.low)} to {_number(state, gain.high)} at 95 %)"
    return (
        f"{_signed(state, gain.held_out or 0.0)}{interval} where both are chosen by four fifths of these "
        f"{state.started.dataset.noun}s and compared on the others, {gain.only_ensemble} of which only the "
        f"ensemble gets right and {gain.only_trial} only the trial (McNemar p = {gain.p:.2f})"
    )


def _verdict(gain: Gain, images: str) -> str:
    if gain.is_shown:
        return f"better than trial {gain.trial} alone"
    return f"the {images} do not show it to be better than trial {gain.trial} alone"


def _signed(state: StudyState, difference: float) -> str:
    """A difference in favour of the ensemble, in points where the objective is a share."""
    return f"{_number(state, difference)}{' points' if _is_share(state) else ''}"


def _number(state: StudyState, difference: float) -> str:
    """The same without the unit."""
    shown = f"{100 * difference:+.1f}" if _is_share(state) else f"{difference:+.3g}"
    return shown.replace("-", "−")


def _is_share(state: StudyState) -> bool:
    metric = METRICS.get(state.objective.name.removeprefix(VALIDATION))
    return metric is not None and metric.maximize


def score_on_test_images(state: StudyState, ensemble: EnsembleSaved) -> float | None:
    """The objective, or else the accuracy, on the test images; None if they were not opened for it."""
    opening = state.ensemble_openings.get(ensemble.number)
    if opening is None or opening.evaluation is None:
        return None
    return opening.evaluation.metrics.get(column_of_test(state).removeprefix(TEST))
