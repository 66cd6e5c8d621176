"""How often the test set of a study's data has been opened, in words."""

from __future__ import annotations

from harness.study.state import StudyState


def openings_in_words(state: StudyState) -> str:
    """How often, and for which models, such as `test set opened 3 times (trials 3, 7; ensemble 0)`.

    What counts is how many models of this study have been evaluated on the test images of its data: each one
    more is another chance to pick the luckiest of them. To look again at what was found counts for nothing.
    """
    opened = {"trial": list(state.openings), "ensemble": list(state.ensemble_openings)}
    number = len(state.test_openings)
    if not number:
        return "test set sealed: never opened"
    often = "once" if number == 1 else f"{number} times"
    which = [
        f"{noun}{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
        for noun, numbers in opened.items()
        if numbers
    ]
    return f"test set opened {often} ({'; '.join(which)})"
