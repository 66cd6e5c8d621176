"""What a worker can be asked beside training: to find out something about a configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something for an idle worker to find out, which meanwhile trains nothing."""

    name: str
    """One of `harness.train.questions.QUESTIONS`."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """What its function is called with: JSON-serialisable, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the worker has found out."""

    question: str
    """The question's name."""
    found: dict[str, float] = field(default_factory=dict)
    """Figures by name; empty if it has failed, or has found none."""
    said: str = ""
    """What is no figure, such as a digest."""
    error: str | None = None
    """A sentence, if it has failed, as the user's own network may."""
