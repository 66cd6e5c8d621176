"""`harness leaderboard`."""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from harness.cli.options import JsonOption, StudyArgument


def leaderboard(
    study: StudyArgument = None,
    top: Annotated[int | None, typer.Option("--top", "-n", min=1, help="Only the best so many.")] = None,
    json_: JsonOption = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Rank the trials of a study."""
    from harness.analysis.tables import column_of_test, further_objectives, ranking
    from harness.analysis.tables import leaderboard as as_frame
    from harness.cli.tables import print_json, print_ranking
    from harness.errors import UsageError
    from harness.study.opening import open_study
    from harness.study.openings import openings_in_words

    if json_ and csv:
        raise UsageError("--json and --csv exclude each other; choose one.")
    # A large study is a million objects without a cycle. To look for cycles among them again and again would
    # take a fifth of the time, and the process is about to end.
    gc.disable()
    _, state = open_study(study)
    if csv:
        print(as_frame(state, top=top).to_csv(index=False), end="")
    elif json_:
        print_json(ranking(state, top=top).rows)
    else:
        print_ranking(ranking(state, top=top), [*further_objectives(state), column_of_test(state)])
        if state.openings:
            print(f"{column_of_test(state)}: {openings_in_words(state)}", file=sys.stderr)
