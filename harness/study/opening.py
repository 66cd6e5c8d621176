"""Find the study that a command is about."""

from __future__ import annotations

from harness.errors import StudyError
from harness.paths import StudyPaths, home, study_names
from harness.study.event_log import read
from harness.study.state import StudyState, fold


def unknown_study(name: str) -> str:
    """The sentence for a study that does not exist."""
    names = study_names()
    known = f"Studies here: {', '.join(names[-8:])}." if names else "There is no study here yet."
    return f"There is no study called {name!r} in {home()}. {known}"


def open_study(name: str | None) -> tuple[StudyPaths, StudyState]:
    """The paths and the folded log of a study, by default of the one last active.

    Raises:
        StudyError: there is no such study, it never began, or its log is damaged.
    """
    names = study_names()
    if name is None:
        if not names:
            raise StudyError(f"There is no study in {home()} yet. Start one with `harness sweep`.")
        name = names[-1]
    elif name not in names:
        raise StudyError(unknown_study(name))
    paths = StudyPaths.of(name)
    state = fold(read(paths.log))
    if not state.has_begun:
        raise StudyError(
            f"The study {name} never began: it was killed before anything was written to its event log. "
            f"Start it anew with `harness sweep --study {name}`, or delete {paths.folder}."
        )
    return paths, state
