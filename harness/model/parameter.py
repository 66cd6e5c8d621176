"""What one hyper-parameter is: its kind, its default, the values it may have."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Literal

from harness.messages import nearest, shown
from harness.records import Scalar

Kind = Literal["int", "float", "bool", "choice", "any"]
Place = Literal["graph", "step", "loop"]
"""Where a value enters a training program. `graph`: it decides the graph, which another value builds anew.
`step`: the compiled step gets it as a float32 scalar. `loop`: it is used around the step or assigned before
it. With the last two, another value compiles nothing anew."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One hyper-parameter."""

    name: str
    kind: Kind
    default: Scalar
    about: str
    """A sentence, or, of a family's own parameter, a fragment that may stand behind the family's name."""
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[Scalar, ...] = ()
    families: tuple[str, ...] = ()
    """The families that it has an effect on; filled in by the catalog."""
    enters: Place = "graph"
    changes_graph_when_positive: bool = False
    """Some operations are in the program's graph only if it is above 0."""
    odd: bool = False
    """Of whole numbers, only odd ones are allowed."""
    paths: bool = False
    """Of a choice, whether the path of a file or folder may stand in the place of a name."""

    def problem_with(self, value: Scalar) -> str | None:  # noqa: PLR0911 - one answer for each kind
        """Why `value` is not allowed, or None."""
        if not isinstance(value, (bool, int, float, str)):  # a date, for example
            return f"{shown(value)} is not a number, a word, or true or false"
        if self.kind == "any":
            return (
                None if not isinstance(value, float) or math.isfinite(value) else f"{value!r} is not finite"
            )
        if self.kind == "bool":
            return None if isinstance(value, bool) else f"{shown(value)} is not true or false"
        if self.kind == "choice":
            if value in self.choices and not isinstance(value, bool):
                return None
            if self.paths and isinstance(value, str) and is_path(value):
                return None  # what was recorded may be gone by now
            near = nearest(str(value), [str(choice) for choice in self.choices])
            return f"{shown(value)} is not one of {', '.join(map(str, self.choices))}{near}"
        if isinstance(value, (bool, str)) or (self.kind == "int" and not isinstance(value, int)):
            return f"{shown(value)} is not {'a whole number' if self.kind == 'int' else 'a number'}"
        if not self.low <= value <= self.high:
            return f"{shown(value)} is not between {self.low:g} and {self.high:g}"
        if self.odd and value % 2 == 0:
            return f"{value!r} is not odd"
        return None


def is_path(text: str) -> bool:
    """Whether a text in the place of a name is a path, by its look alone: nothing need be there."""
    return "/" in text or os.sep in text or text.startswith("~") or text.endswith(".keras")
