"""An ensemble: its members, and what it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.cli.tables.columns import column, print_columns

if TYPE_CHECKING:
    from harness.paths import StudyPaths
    from harness.records import EnsembleSaved
    from harness.study.state import StudyState


def print_ensemble(state: StudyState, ensemble: EnsembleSaved) -> None:
    """Print a row for each member and one for the whole."""
    picks = sum(member.picks for member in ensemble.members)
    trials = [state.trials[member.trial] for member in ensemble.members]
    print_columns(
        [
            column("model", [*(f"trial {one.number}" for one in trials), f"ensemble {ensemble.number}"]),
            column("weight", [*(member.picks / picks for member in ensemble.members), 1.0]),
            column(state.objective.name, [*(one.score for one in trials), ensemble.score]),
            column(
                "parameters",
                [*(one.model.parameters if one.model else None for one in trials), ensemble.parameters],
                importance=1,
            ),
        ],
        elsewhere="--json",
    )


def ensemble_dict(paths: StudyPaths, state: StudyState, ensemble: EnsembleSaved) -> dict[str, Any]:
    """All that is known of an ensemble, for programs."""
    picks = sum(member.picks for member in ensemble.members)
    values = asdict(ensemble)
    del values["kind"]
    opening = state.ensemble_openings.get(ensemble.number)
    evaluated = opening.evaluation if opening else None
    return values | {
        "study": paths.folder.name,
        "members": [asdict(one) | {"weight": one.picks / picks} for one in ensemble.members],
        "gain": asdict(ensemble.gain) | {"is_shown": ensemble.gain.is_shown},
        "file": str(paths.folder / ensemble.file),
        "predictions": str(paths.folder / ensemble.predictions),
        "test": asdict(evaluated) if evaluated else None,
    }
