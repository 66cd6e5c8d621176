"""Make an ensemble: choose it, have its model written, and write it down in the study's log.

The model's files are durable before the log tells of them, so that whoever is killed leaves either nothing
that counts, which the same command replaces, or all of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from harness.clock import now_ms
from harness.ensembling.gain import Choose, gain_of
from harness.ensembling.library import Library, library_of
from harness.ensembling.selection import Picks, averaged, best_in_equal_parts, forward_selection
from harness.errors import EngineError, StudyError
from harness.paths import StudyPaths, sha256_of
from harness.records import EnsembleKind, EnsembleSaved, Evaluation, Member, Question
from harness.study.cleanup import remove_unrecorded_ensembles
from harness.study.state import StudyState
from harness.sweeping.locked_study import LockedStudy, locked_study

MEMBERS = 5
"""Trials that an ensemble is made of at most, unless more are asked for."""
ANSWER_SECONDS = 3600.0
"""How long a worker may take to start, and how long to write the model."""


@dataclass(frozen=True, slots=True)
class Made:
    """An ensemble of a study."""

    ensemble: EnsembleSaved
    state: StudyState
    """The study with it."""
    is_new: bool
    """Whether it was made just now; else the same one is the study's latest already."""
    behind: tuple[str, ...] = ()
    """Sentences about trackers that could not be brought up to date."""


def make_ensemble(
    paths: StudyPaths,
    *,
    members: int = MEMBERS,
    top: int | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Made:
    """Average the models of some of a study's trials, unless its latest ensemble is the same average.

    Args:
        paths: of the study, which must not be running.
        members: trials at most, which are chosen one after the other by the validation images.
        top: None; or average so many of the best trials in equal parts, instead of choosing.
        note: told what a person should know.

    Raises:
        StudyError: the study is running, its trials cannot be averaged, or no average is better than the best
            trial alone.
        EngineError: no worker has answered.
        OSError: the log cannot be written.
    """
    with locked_study(paths, note) as study:
        state = study.state
        library = library_of(paths.folder, state)
        chosen = _chosen(library, state, members, top)
        found, is_new = _known(paths, state, chosen), False
        if found is None:
            found, is_new = _written(study, chosen), True
            study.write(found)
        return Made(found, state, is_new, study.track())


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is to be averaged."""

    how: EnsembleKind
    library: Library
    picks: Picks
    choose: Choose

    @property
    def members(self) -> list[Member]:
        """Those with the largest shares first, then the best ones."""
        order = sorted(np.flatnonzero(self.picks).tolist(), key=lambda index: (-self.picks[index], index))
        trials = self.library.trials
        return [
            Member(
                trial=trials[index].number,
                picks=int(self.picks[index]),
                model_sha256=model.sha256,
            )
            for index in order
            if (model := trials[index].model) is not None
        ]


def _chosen(library: Library, state: StudyState, members: int, top: int | None) -> _Chosen:
    choose: Choose = partial(forward_selection, worth=library.worth, most=members)
    if top is not None:
        if top > len(library.trials):
            raise StudyError(
                f"The study {state.name} has {len(library.trials)} complete trials with predictions, so that "
                f"--top {top} is too many."
            )
        choose = partial(best_in_equal_parts, worth=library.worth, number=top)
    picks = choose(library.probabilities, library.labels)
    if (picks > 0).sum() == 1:
        alone = library.trials[int(picks.argmax())].number
        raise StudyError(
            f"No average of up to {members} of the {len(library.trials)} complete trials of {state.name} "
            f"has a better {state.objective.name} than trial {alone} alone on its {len(library.labels):,} "
            f"validation {state.started.dataset.noun}s, so that nothing was written. The best ones are "
            f"averaged all the same by: harness ensemble {state.name} --top "
            f"{min(MEMBERS, len(library.trials))}"
        )
    return _Chosen("greedy" if top is None else "best", library, picks, choose)


def _known(paths: StudyPaths, state: StudyState, chosen: _Chosen) -> EnsembleSaved | None:
    """The study's latest ensemble, if it is the same average and its model is whole."""
    latest = state.ensembles[-1] if state.ensembles else None
    if latest is None or latest.members != chosen.members:
        return None
    file = paths.folder / latest.file
    return latest if file.is_file() and sha256_of(file) == latest.sha256 else None


def _written(study: LockedStudy, chosen: _Chosen) -> EnsembleSaved:
    """Let a worker write the model; the event that tells of it."""
    paths, state, library = study.paths, study.state, chosen.library
    number = len(state.ensembles)
    gain = gain_of(library, chosen.picks, chosen.choose, state.started.seed)
    remove_unrecorded_ensembles(paths, state)
    with study.worker() as workers:
        answer = workers.ask(_question(paths, state, number, chosen.members), ANSWER_SECONDS)
    if answer is None:
        raise EngineError(
            f"The worker that was to average the models is gone; {paths.workers} may tell why. Nothing was "
            "written down; the same command tries again."
        )
    if answer.error is not None:
        remove_unrecorded_ensembles(paths, state)
        raise EngineError(
            f"The models could not be averaged. {answer.error.rstrip('.')}. Nothing was written down; mend "
            "that, and the same command tries again."
        )
    said: dict[str, Any] = json.loads(answer.said)
    return EnsembleSaved(
        number=number,
        members=chosen.members,
        how=chosen.how,
        score=library.value(averaged(library.probabilities, chosen.picks), library.labels),
        gain=gain,
        evaluation=Evaluation(**said.pop("evaluation")),
        **said,
        time=now_ms(),
    )


def _question(paths: StudyPaths, state: StudyState, number: int, members: list[Member]) -> Question:
    picks = sum(member.picks for member in members)
    models = {member.trial: state.trials[member.trial].model for member in members}
    return Question(
        name="ensemble",
        arguments={
            "study_folder": str(paths.folder),
            "number": number,
            "members": [
                {
                    "trial": member.trial,
                    "weight": member.picks / picks,
                    "file": model.file,
                    "sha256": model.sha256,
                    "predictions": model.predictions,
                    "predictions_sha256": model.predictions_sha256,
                }
                for member in members
                if (model := models[member.trial]) is not None
            ],
            "classes": list(state.started.dataset.classes),
        },
    )
