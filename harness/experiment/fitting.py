"""What of a file's space cannot be any more, because of what `--set` says, is left out of it.

    --set space.augmentation=none

leaves `augmentation_strength: {…, when: {augmentation: [flip_shift, trivial]}}` without a condition that can
hold. Nothing that was typed is left out, nor anything that did not fit in the file itself: both are mistakes,
and stay to be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.experiment.distributions import contains
from harness.experiment.draft import Draft
from harness.experiment.parameters import CATALOG, DEFAULTS_BY, FAMILIES_WITH_BODY, ONLY_WITH, WHEN_UNFROZEN
from harness.experiment.space import Alternative
from harness.experiment.space_conditions import possible_values
from harness.experiment.space_file import parameter_of, read_alternatives
from harness.messages import and_list
from harness.records import Scalar

Alternatives = tuple[Alternative, ...]


@dataclass(slots=True)
class LeftOut:
    """What was left out of a space."""

    causes: set[str] = field(default_factory=set)
    """Typed parameters that leave something else without a condition or an effect."""
    useless: set[str] = field(default_factory=set)
    """Parameters that can have no effect any more."""
    impossible: set[str] = field(default_factory=set)
    """Parameters none of whose conditions can hold any more."""
    narrowed: set[str] = field(default_factory=set)
    """Parameters that some conditions, or some of their values, were left out of."""

    @property
    def parameters(self) -> set[str]:
        """Parameters that are not in the space any more."""
        return self.useless | self.impossible

    def sentences(self) -> list[str]:
        """What the user should know of it."""
        beside = f"beside the {and_list(sorted(self.causes))} that --set gives"
        found = []
        if self.useless:
            found.append(f"space: left out {and_list(sorted(self.useless))}: no effect {beside}.")
        if self.impossible:
            defaults = ", ".join(f"{name} {_default(name)}" for name in sorted(self.impossible))
            found.append(
                f"space: left out {and_list(sorted(self.impossible))}: no condition of the file can hold "
                f"{beside}. The defaults hold instead ({defaults}), unless --set gives values."
            )
        if kept := sorted(self.narrowed - self.parameters):
            found.append(f"space: left out conditions of {and_list(kept)} that can never hold {beside}.")
        return found


def fit_to_overrides(draft: Draft) -> LeftOut:
    """Leave out of a draft's space what overrides make impossible, and of its configurations to start with.

    What is left out may be what another condition asks for, so it goes on until nothing more follows.
    """
    found = LeftOut()
    entries, model = draft.values.get("space"), draft.values.get("model")
    if not isinstance(entries, dict) or not isinstance(draft.own_space, dict):
        return found
    typed = [
        one
        for name, entry in entries.items()
        for index, one in enumerate(_listed(entry))
        if draft.is_typed(f"space.{name}.{index}" if isinstance(entry, list) else f"space.{name}")
    ]
    fitted = _Fitting(draft, dict(entries), model if isinstance(model, str) else None, typed, found)
    while fitted.leave_out_more():
        pass
    draft.values["space"] = fitted.entries
    starts = draft.values.get("start_with")
    if found.parameters and isinstance(starts, list) and not draft.is_typed("start_with"):
        draft.values["start_with"] = [
            {name: value for name, value in start.items() if name not in found.parameters}
            if isinstance(start, dict)
            else start
            for start in starts
        ]
    return found


def without_effect(draft: Draft) -> list[str]:
    """A sentence for each parameter that was typed and has no effect beside what others can be."""
    entries = draft.values.get("space")
    if not isinstance(entries, dict) or draft.values.get("model") is not None:
        return []
    found = []
    for name, (other, wanted) in ONLY_WITH.items():
        if name in entries and draft.is_typed(f"space.{name}"):
            possible = _possible(other, entries)
            if possible is not None and not possible & set(wanted):
                found.append(
                    f"--set space.{name}: it has no effect, because {other} is "
                    f"{' or '.join(sorted(map(str, possible)))}."
                )
    return found


@dataclass(slots=True)
class _Fitting:
    """A space from which more and more is left out."""

    draft: Draft
    entries: dict[str, Any]
    model: str | None
    typed: list[Any]
    """Alternatives that overrides say something of."""
    found: LeftOut

    def leave_out_more(self) -> bool:
        """Leave out what follows from what the space is now; whether there was anything."""
        before = dict(self.entries)
        for name in before:
            if self._became_useless(name):
                self.found.useless.add(name)
                del self.entries[name]
            else:
                self._fit_conditions(name)
        return before != self.entries

    def _became_useless(self, name: str) -> bool:
        """Whether a parameter of the file had an effect and can have none any more."""
        if self.model is not None or name not in CATALOG or self.draft.is_typed(f"space.{name}"):
            return False
        families, own = set(CATALOG[name].families), self.draft.own_space
        if _lost(_possible("family", own), _possible("family", self.entries), families):
            self._blame("family")
            return True
        if name in WHEN_UNFROZEN and _is_frozen(self.entries) and not _is_frozen(own):
            self._blame("family")
            self._blame("unfreeze")
            return True
        other, wanted = ONLY_WITH.get(name, ("family", ()))
        if _lost(_possible(other, own), _possible(other, self.entries), set(wanted)):
            self._blame(other)
            return True
        return False

    def _fit_conditions(self, name: str) -> None:
        """Leave out alternatives of a parameter, and values that they ask for, that can never be."""
        entry = self.entries[name]
        alternatives = _listed(entry)
        left = [fitted for one in alternatives for fitted in self._fitted(one)]
        if left == alternatives:
            return
        self.found.narrowed.add(name)
        if left:
            self.entries[name] = left if isinstance(entry, list) else left[0]
        else:
            self.found.impossible.add(name)
            del self.entries[name]

    def _fitted(self, alternative: Any) -> list[Any]:
        """An alternative with the conditions that can hold; nothing if one of them never can."""
        when = alternative.get("when") if isinstance(alternative, dict) else None
        if not isinstance(when, dict) or any(one is alternative for one in self.typed):
            return [alternative]
        fitted = {}
        for asked, written in when.items():
            values = written if isinstance(written, list) else [written]
            left = [value for value in values if not self._is_ruled_out(asked, value)]
            if left != values:
                self._blame(asked)
                written = left  # noqa: PLW2901 - what is left of it
            if values and not left:
                return []
            fitted[asked] = written
        return [alternative if fitted == when else alternative | {"when": fitted}]

    def _is_ruled_out(self, asked: str, value: Any) -> bool:
        """Whether a value was possible in the file and is not any more."""
        if not isinstance(value, bool | int | float | str):
            return False
        before = _alternatives(asked, self.draft.own_space, self.model)
        if asked in self.found.parameters:
            now: Alternatives | None = ()
        else:
            now = _alternatives(asked, self.entries, self.model)
        if before is None or now is None:
            return False
        return _can_be(before, value) and not _can_be(now, value)

    def _blame(self, name: str) -> None:
        if self.draft.is_typed(f"space.{name}"):
            self.found.causes.add(name)


def _listed(entry: Any) -> list[Any]:
    """The alternatives of an entry, as they are written."""
    several = isinstance(entry, list) and entry and all(isinstance(one, dict) for one in entry)
    return entry if several else [entry]


def _alternatives(name: str, entries: Mapping[str, Any], model: str | None) -> Alternatives | None:
    """What an entry of a space means; None if there is none, or it cannot be read."""
    if name not in entries:
        return None
    parameter = parameter_of(name, entries[name], model)
    try:
        return tuple(read_alternatives(parameter, entries[name], entries)) if parameter else None
    except ValueError:
        return None


def _possible(name: str, entries: Mapping[str, Any]) -> set[Scalar] | None:
    """All values that a parameter of the catalog can have, its default included where no condition holds."""
    if name not in entries:
        return {CATALOG[name].default}
    alternatives = _alternatives(name, entries, None)
    values = None if alternatives is None else possible_values(alternatives)
    if alternatives is None or values is None:
        return None
    return values | ({CATALOG[name].default} if all(one.when for one in alternatives) else set())


def _is_frozen(entries: Mapping[str, Any]) -> bool:
    """Whether all networks have a body, and none of them is ever trained."""
    families = _possible("family", entries)
    return (
        families is not None and families <= set(FAMILIES_WITH_BODY) and _possible("unfreeze", entries) == {0}
    )


def _lost(before: set[Scalar] | None, now: set[Scalar] | None, wanted: set[str]) -> bool:
    """Whether some of the wanted values were possible, and none is any more."""
    return before is not None and now is not None and bool(before & wanted) and not now & wanted


def _can_be(alternatives: Alternatives, value: Any) -> bool:
    values = possible_values(alternatives)
    return any(contains(one.values, value) for one in alternatives) if values is None else value in values


def _default(name: str) -> str:
    """The value of a parameter that no space names, in words."""
    if name not in CATALOG:
        return "that of the model"
    return DEFAULTS_BY.get(name, str(CATALOG[name].default))
