"""What a worker can be asked beside training a segment: a file and a line here for each question."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from harness.errors import HarnessError
from harness.paths import lack_of_room
from harness.records import Answer, Question

QUESTIONS: dict[str, str] = {
    "cost": "cost:cost",
    "ensemble": "ensembling:write_ensemble",
    "features": "features:fill",
    "precisions": "precisions:step_seconds",
    "rates": "rates:rates",
    "test": "testing:evaluate_on_test",
    "weights": "body:find_weights",
}
"""By name, `module:function` in `harness.train`: the function is called with the question's arguments and
returns figures by name, or a text."""


def answer(question: Question) -> Answer:
    """Find out what is asked; whatever is raised is part of the answer."""
    try:
        module, _, function = QUESTIONS[question.name].partition(":")
        find: Callable[..., dict[str, float] | str] = getattr(
            import_module(f"harness.train.{module}"), function
        )
        found = find(**question.arguments)
        if isinstance(found, str):
            return Answer(question=question.name, said=found)
        return Answer(question=question.name, found=found)
    except HarnessError as error:
        return Answer(question=question.name, error=str(error))
    except Exception as error:  # noqa: BLE001 - the network may be the user's own
        reason = lack_of_room(error)
        said = f"{type(error).__name__}: {error}" if reason is None else f"The disk has no room: {reason}."
        return Answer(question=question.name, error=said)
