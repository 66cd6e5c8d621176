"""Find the study a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.paths import StudyPaths
    from harness.sweep.history import History


def open_study(name: str | None) -> tuple[StudyPaths, History]:
    """The paths and the folded log of a study, by default of the one last active.

    Raises:
        StudyError: there is no such study, it never began, or its log is damaged.
    """
    from harness.errors import StudyError
    from harness.paths import StudyPaths, home, study_names
    from harness.sweep.event_log import read
    from harness.sweep.history import fold

    names = study_names()
    if name is None:
        if not names:
            raise StudyError(f"There is no study in {home()} yet. Start one with `harness sweep`.")
        name = names[-1]
    elif name not in names:
        known = f"Studies here: {', '.join(names[-8:])}." if names else "There is no study here yet."
        raise StudyError(f"There is no study called {name!r} in {home()}. {known}")
    paths = StudyPaths.of(name)
    history = fold(read(paths.log))
    if history.study is None:
        raise StudyError(
            f"The study {name} never began: it was killed before anything was written to its event log. "
            f"Start it anew with `harness sweep --study {name}`, or delete {paths.folder}."
        )
    return paths, history
