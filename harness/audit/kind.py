"""How a check is known: what it looks for, and what finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from harness.audit.facts import Facts
    from harness.audit.finding import Finding
    from harness.records import Progress

Find: TypeAlias = "Callable[[Facts, Progress], list[Finding]]"
"""Looks at facts; told to the progress is whatever takes long."""


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of fault."""

    about: str
    """What it looks for, a phrase within a sentence."""
    find: Find
    images_only: bool = False
    """Whether it is left out where the data set is one of clips."""
