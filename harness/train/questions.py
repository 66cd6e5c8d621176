"""What a worker can be asked beside training a segment: a file and a line here for each question."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from harness.records import Answer, Question

QUESTIONS: dict[str, str] = {
    "cost": "cost:cost",
    "precisions": "precisions:step_seconds",
    "rates": "rates:rates",
}
"""By name, `module:function` in `harness.train`: the function is called with the question's arguments and
returns figures by name."""


def answer(question: Question) -> Answer:
    """Find out what is asked; whatever is raised is part of the answer."""
    try:
        module, _, function = QUESTIONS[question.name].partition(":")
        find: Callable[..., dict[str, float]] = getattr(import_module(f"harness.train.{module}"), function)
        return Answer(question=question.name, found=find(**question.arguments))
    except Exception as error:  # noqa: BLE001 - the network may be the user's own
        return Answer(question=question.name, error=f"{type(error).__name__}: {error}")
