"""What became of the configurations that were suggested and not begun, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import eq

from harness.experiment.parameters import CATALOG, SIZES
from harness.records import Params, RefusalReason, Scalar
from harness.study.state import StudyState

WHY: dict[RefusalReason, str] = {
    "first_rung": "their first rung would not have ended in time",
    "full_training": "they could not have been trained to their end in time",
    "memory": "a worker's memory does not hold them",
}
TELLING = 0.25
"""By how much a choice must be more frequent among refused configurations than among trials to be named."""


def refusals(state: StudyState) -> list[str]:
    """For each reason, how many configurations were refused and have become no trial, and what they share."""
    begun = [trial.params for trial in state.trials.values()]
    keys = {_key(params) for params in begun}
    sentences = []
    for reason, why in WHY.items():
        found = {_key(one.params): one for one in state.refused if one.reason == reason}
        refused = [one for key, one in found.items() if key not in keys]
        if not refused:
            continue
        count = len(refused)
        what = "1 configuration was" if count == 1 else f"{count} configurations were"
        choice = _choice([(one.params, one.sampled) for one in refused], begun)
        sentences.append(f"{what} not begun because {_of(count, why)}{choice}")
    return sentences


def _of(count: int, why: str) -> str:
    if count > 1:
        return why
    return why.replace("their", "its").replace("them", "it").replace("they", "it")


def _choice(refused: Sequence[tuple[Params, Params]], begun: Sequence[Params]) -> str:
    """The choice that tells refused configurations best from those that were begun; empty if none does.

    Only what decides a network's size is looked at: hardly anything else makes training dearer.
    """
    if len(refused) == 1 or not begun:
        return ""
    most, text = TELLING, ""
    sampled = {name.split("[")[0] for _, chosen in refused for name in chosen}
    for name in sorted(name for name in sampled if name in SIZES or name not in CATALOG):
        own = [params[name] for params, _ in refused if name in params]
        others = [params[name] for params in begun if name in params]
        for words, test in _tests(own):
            hits = sum(map(test, own))
            # One more of each kind is thought of among the trials: few of them prove little.
            difference = hits / len(refused) - (sum(map(test, others)) + 1) / (len(begun) + 2)
            if difference > most:
                most = difference
                text = f"; {'all' if hits == len(refused) else hits} of them had {name} {words}"
    return text


def _tests(values: Sequence[Scalar]) -> Iterator[tuple[str, Callable[[Scalar], bool]]]:
    """Ways to tell values apart, in words and as functions: each value alone, and numbers by a bound."""
    for value in dict.fromkeys(values):
        yield _text(value), partial(eq, value)
    for bound in sorted({float(value) for value in values if _is_number(value)}):
        yield f"of at least {_text(bound)}", partial(_at_least, bound)
        yield f"of at most {_text(bound)}", partial(_at_most, bound)


def _at_least(bound: float, value: Scalar) -> bool:
    return _is_number(value) and float(value) >= bound


def _at_most(bound: float, value: Scalar) -> bool:
    return _is_number(value) and float(value) <= bound


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Scalar) -> str:
    return f"{value:.4g}" if _is_number(value) else str(value)


def _key(params: Params) -> tuple[tuple[str, Scalar], ...]:
    return tuple(sorted(params.items()))
