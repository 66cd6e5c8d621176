"""How often the test set of a study's data has been opened, in words."""

from __future__ import annotations

from harness.study.state import StudyState


def openings_in_words(state: StudyState) -> str:
    """How often, and for which trials, such as `test set opened 2 times (trials 3, 7)`.

    What counts is how many models of this study have been evaluated on the test images of its data: each one
    more is another chance to pick the luckiest of them. To look again at what was found counts for nothing.
    """
    trials = list(state.openings)
    if not trials:
        return "test set sealed: never opened"
    often = "once" if len(trials) == 1 else f"{len(trials)} times"
    which = f"trial{'s' * (len(trials) > 1)} {', '.join(map(str, trials))}"
    return f"test set opened {often} ({which})"
