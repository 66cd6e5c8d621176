"""Whether the conditions, families and starting points of a search space fit each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from harness.experiment.distributions import Choice, Constant, IntRange, contains, listed
from harness.experiment.parameters import CATALOG, FAMILIES_WITH_BODY, WHEN_UNFROZEN
from harness.experiment.space import Alternative, Space, When
from harness.messages import nearest, shown
from harness.records import Scalar


def start_problems(space: Space, starts: Any) -> list[tuple[str, str]]:
    """What is wrong with the `start_with` section: key paths and sentences."""
    found: list[tuple[str, str]] = []
    for index, start in enumerate(starts if isinstance(starts, list) else []):
        for name, value in start.items() if isinstance(start, dict) else ():
            path = f"start_with.{index}.{name}"
            if name not in space.parameters:
                found.append((path, f"{name} is not in the space{nearest(name, space.parameters)}"))
            elif not any(contains(one.values, value) for one in space.parameters[name]):
                found.append((path, f"{value!r} is outside of the space"))
    return found


def condition_problems(space: dict[str, tuple[Alternative, ...]]) -> Iterator[str]:
    """Conditions on what is not there, that can never hold, that overlap, or that depend on themselves."""
    for name, alternatives in space.items():
        for alternative in alternatives:
            for asked, allowed in alternative.when.items():
                path = f"space.{name}.when.{asked}"
                if asked not in space:
                    yield f"{path}: {asked} is not in the space{nearest(asked, space)}"
                    continue
                possible = possible_values(space[asked])
                for value in allowed:
                    if possible is not None and value not in possible:
                        known = ", ".join(sorted(map(str, possible)))
                        yield f"{path}: {asked} is never {shown(value)}; it is one of {known}"
        for one, other in itertools.combinations(alternatives, 2):
            if _can_both_hold(one.when, other.when):
                yield f"space.{name}: two alternatives can hold at once ({one.when} and {other.when})"
    waiting = {name: {asked for alt in alts for asked in alt.when} for name, alts in space.items()}
    while ready := [name for name, asked in waiting.items() if not asked & waiting.keys()]:
        for name in ready:
            del waiting[name]
    if waiting:
        yield f"space.{min(waiting)}: its `when` depends on itself, by way of {', '.join(sorted(waiting))}"


def _can_both_hold(one: When, other: When) -> bool:
    return all(set(one[name]) & set(other[name]) for name in one.keys() & other.keys())


def family_problems(space: dict[str, tuple[Alternative, ...]]) -> Iterator[str]:
    """A parameter that none of the families in the space uses would be searched in vain."""
    families = families_of(space)
    frozen = only_heads(space)
    for name in space:
        if not families & set(CATALOG[name].families):
            used_by = ", ".join(CATALOG[name].families)
            yield f"space.{name}: has no effect on {', '.join(sorted(families))}; only on {used_by}"
        elif frozen and name in WHEN_UNFROZEN:
            yield f"space.{name}: has no effect on {', '.join(sorted(families))} while unfreeze is 0"


def families_of(space: Mapping[str, tuple[Alternative, ...]]) -> set[str]:
    """The families that a space searches; the default one where it names none."""
    alternatives = space.get("family", (Alternative("family", Constant(CATALOG["family"].default)),))
    return set(map(str, possible_values(alternatives) or ()))


def only_heads(space: Mapping[str, tuple[Alternative, ...]]) -> bool:
    """Whether all networks of a space have a body, and none of them ever trains it."""
    blocks = possible_values(space["unfreeze"]) if "unfreeze" in space else {CATALOG["unfreeze"].default}
    return families_of(space) <= set(FAMILIES_WITH_BODY) and blocks == {0}


def possible_values(alternatives: tuple[Alternative, ...]) -> set[Scalar] | None:
    """All values a parameter can have, or None if they cannot be listed."""
    found: set[Scalar] = set()
    for alternative in alternatives:
        if isinstance(alternative.values, Choice):
            found |= set(alternative.values.choices)
        elif isinstance(alternative.values, Constant):
            found.add(alternative.values.value)
        elif isinstance(alternative.values, IntRange) and (values := listed(alternative.values)):
            found |= set(values)
        else:
            return None
    return found


def in_order_of_conditions(
    space: dict[str, tuple[Alternative, ...]],
) -> dict[str, tuple[Alternative, ...]]:
    """Conditions first, otherwise as written."""
    ordered: dict[str, tuple[Alternative, ...]] = {}

    def place(name: str) -> None:
        if name not in ordered:
            for alternative in space[name]:
                for asked in alternative.when:
                    place(asked)
            ordered[name] = space[name]

    for name in space:
        place(name)
    return ordered
