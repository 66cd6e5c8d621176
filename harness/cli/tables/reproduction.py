"""What came of training a trial again."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.cli.tables.lines import print_pairs, print_text

if TYPE_CHECKING:
    from harness.reproducing.comparison import Difference, EpochsCompared
    from harness.reproducing.reproduce import Reproduction
    from harness.reproducing.weights import WeightsCompared

SHOWN = 12
"""Digits of a digest."""
LONG = 60
"""Characters from which a value in the environment is not printed."""


def reproduction_dict(found: Reproduction) -> dict[str, Any]:
    """All of it, for programs."""
    told = asdict(found)
    if found.weights is not None:
        told["weights"]["identical"] = found.weights.identical
    return told


def print_reproduction(found: Reproduction) -> None:
    """Print whether the same came of it, and what differs."""
    pairs = {
        "trial": f"{found.trial} of {found.study} ({found.state})",
        "result": _result(found),
        "metrics": _metrics(found.epochs),
        "states": _states(found.epochs),
    }
    if found.weights is not None:
        pairs["weights"] = _weights(found.weights)
    pairs["environment"] = "the same" if not found.changed else f"{len(found.changed)} things differ"
    if len(found.changed) == 1:
        pairs["environment"] = "one thing differs"
    print_pairs(pairs)
    for change in found.changed:
        if max(len(change.recorded), len(change.now)) > LONG:
            print_text("other than it was (--json has both)", f"  {change.what}: ")
        else:
            print_text(f"was {change.recorded}, is {change.now}", f"  {change.what}: ")
    for note in found.notes:
        print_text(note, "note  ")


def _result(found: Reproduction) -> str:
    first = found.epochs.first_difference
    since = "" if first is None else f", from epoch {first} on"
    if found.verdict == "identical":
        return "identical, to the last bit"
    if found.verdict == "within tolerance":
        return f"within the tolerance of {found.tolerance:g}{since}"
    return f"different{since}: beyond the tolerance of {found.tolerance:g}"


def _metrics(epochs: EpochsCompared) -> str:
    counted = f"{epochs.identical} of {epochs.recorded} epochs identical"
    if epochs.recorded != epochs.trained:
        counted += f", {epochs.trained} trained now"
    if epochs.differences:
        shown = "; ".join(map(_difference, epochs.differences))
        counted += f"\nepoch {epochs.differences[0].epoch}: {shown}"
    if epochs.largest is not None:
        counted += f"\nlargest difference: {_difference(epochs.largest)} in epoch {epochs.largest.epoch}"
    return counted


def _difference(one: Difference) -> str:
    return f"{one.name} {one.recorded:.12g} recorded, {one.now:.12g} now ({one.size:.2g} apart)"


def _states(epochs: EpochsCompared) -> str:
    if not epochs.states:
        return "none to compare (weights and optimizer after each epoch)"
    return f"{epochs.states_identical} of {epochs.states} identical (weights and optimizer after each epoch)"


def _weights(weights: WeightsCompared) -> str:
    if weights.identical is None:
        return "not compared"
    if weights.identical:
        return f"all {weights.arrays} arrays identical, SHA-256 {weights.now[:SHOWN]}…"
    apart = "" if weights.largest is None else f", largest difference {weights.largest:.3g}"
    arrays = f"{len(weights.differing)} of {weights.arrays} arrays differ" if weights.differing else "other"
    return f"{arrays}{apart}; SHA-256 {weights.recorded[:SHOWN]}… recorded, {weights.now[:SHOWN]}… now"
