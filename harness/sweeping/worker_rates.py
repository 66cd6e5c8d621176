"""How fast a worker of this machine works: measured once for its threads and precision, and then known."""

from __future__ import annotations

import contextlib

from harness.engine.local import threads_of
from harness.engine.remembered import machine, recall, remember
from harness.experiment.rates import DEFAULT_RATES, KINDS, Rates
from harness.gpus import visible_gpus
from harness.records import Precision, Question
from harness.sweeping.costs import Ask

MEASURE_SECONDS = 60.0
"""How long measuring may take; it takes a few seconds."""


def usual_rates(workers: int, precision: Precision) -> Rates:
    """The rates of one of so many workers that share a usual processor."""
    return DEFAULT_RATES[precision].times(1 / threads_of(workers))


def known_rates(workers: int, precision: Precision) -> Rates | None:
    """The rates of one of so many workers that share this machine; None if they were not measured."""
    key = _key(workers, precision)
    with contextlib.suppress(KeyError):
        known = recall(key)[key]
        return Rates(**{kind: known[kind] for kind in KINDS})
    return None


def measured_rates(workers: int, precision: Precision, ask: Ask) -> Rates | None:
    """The rates of one of so many workers, measured unless they are known; None if that fails.

    Args:
        workers: that share the machine.
        precision: what layers compute with.
        ask: how a worker of as many threads is asked to measure them.
    """
    known = known_rates(workers, precision)
    if known is not None:
        return known
    answer = ask(Question(name="rates", arguments={"precision": precision}), MEASURE_SECONDS)
    if answer is None or not answer.found:
        return None
    remember(_key(workers, precision), answer.found)
    return Rates(**answer.found)


def _key(workers: int, precision: Precision) -> str:
    return f"rates {machine(visible_gpus())} workers={workers} precision={precision}"
