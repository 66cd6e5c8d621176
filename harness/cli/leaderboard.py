"""`harness leaderboard`."""

from __future__ import annotations

import gc
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
    from harness.analysis.ensemble_text import ensemble_sentence
    from harness.analysis.findings import Noise
    from harness.analysis.noise import noise_of
    from harness.analysis.noise_text import noise_sentences
    from harness.analysis.tables import column_of_test, further_objectives, ranking
    from harness.analysis.tables import leaderboard as as_frame
    from harness.cli.tables import champion_sentence, print_aside, print_json, print_ranking
    from harness.confirmation.champion import champion_of
    from harness.errors import UsageError
    from harness.study.opening import open_study
    from harness.study.openings import openings_in_words

    if json_ and csv:
        raise UsageError("--json and --csv exclude each other; choose one.")
    # A large study is a million objects without a cycle. To look for cycles among them again and again would
    # take a fifth of the time, and the process is about to end.
    gc.disable()
    paths, state = open_study(study)
    found = noise_of(paths.folder, state)
    noise = found if isinstance(found, Noise) else None
    if csv:
        print(as_frame(state, noise, top=top).to_csv(index=False), end="")
    elif json_:
        print_json(ranking(state, noise, top=top).rows)
    else:
        print_ranking(ranking(state, noise, top=top), [*further_objectives(state), column_of_test(state)])
        for sentence in noise_sentences(found):
            print_aside(sentence)
        for ensemble in state.ensembles:
            print_aside(ensemble_sentence(state, ensemble))
        champion = champion_of(state)
        if champion is not None:
            print_aside(champion_sentence(champion))
        if state.test_openings:
            print_aside(f"{column_of_test(state)}: {openings_in_words(state)}")
