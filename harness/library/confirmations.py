"""Confirmations for notebooks and scripts."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from harness.confirmation.planning import confirmed_study, plan_confirmation
from harness.confirmation.results import Findings, findings
from harness.confirmation.tested import Tested, tested
from harness.experiment.overrides import NO_LIMIT
from harness.library.progress import LOGGER
from harness.library.studies import Study
from harness.library.sweeps import run
from harness.library.trials import TrialResult
from harness.paths import StudyPaths

if TYPE_CHECKING:
    from harness.engine.kind import EngineChoice
    from harness.study.state import StudyState


@dataclass(frozen=True, slots=True, repr=False)
class Confirmation:
    """What fresh trainings of a study's best configurations have found."""

    study: Study
    """The confirmation, which is a study of its own, `STUDY.confirm`: each of its trials is one training."""
    findings: Findings
    """Means over seeds by configuration, with intervals and verdicts; which are tied; which one is chosen;
    and how much of the sweep's best score was luck."""
    champion: TrialResult | None
    """The training of the chosen configuration whose model stands for it; None while some are missing."""
    test: Tested | None = field(compare=False)
    """What its model is worth on the test images, with its interval and the number of openings;
    None without a champion, or without test images."""

    def __repr__(self) -> str:
        found = self.findings
        if found.chosen is None:
            return f"<Confirmation of {found.study}: not complete>"
        verdict = "the best" if found.declared else f"chosen of {len(found.tied)} tied ones"
        score = "" if self.test is None else f", test accuracy {self.test.accuracy:.4f}"
        return f"<Confirmation of {found.study}: trial {found.chosen} is {verdict}{score}>"


def confirm(
    state: StudyState,
    *,
    top: int | None,
    seeds: int | None,
    timeout: float | Literal["none"] | None,
    workers: int | Literal["auto"] | None,
    chosen: EngineChoice,
    recheck: bool,
    stop: threading.Event | None,
) -> Confirmation:
    """Train the best configurations of a study anew, and test the chosen one; as of `Study.confirm`."""
    limit = {} if timeout is None else {"timeout": None if timeout == NO_LIMIT else float(timeout)}
    planned = plan_confirmation(confirmed_study(state.name), top, seeds, limit)
    if planned.is_complete:
        assert planned.begun is not None
        confirmation = planned.begun
    else:
        for sentence in planned.sentences():
            LOGGER.info(sentence)
        confirmation = run(
            planned.experiment, planned.name, workers, stop, chosen=chosen, recheck=recheck
        ).state
    found = findings(confirmation)
    if found.champion is not None and confirmation.started.dataset.counts.get("test"):
        confirmation = _opened(confirmation, found.champion)
    paths = StudyPaths.of(planned.name)
    score = None if found.champion is None else tested(confirmation, found.champion, planned.study)
    champion = None if found.champion is None else TrialResult(found.champion, paths, confirmation)
    return Confirmation(Study(paths, confirmation), found, champion, score)


def _opened(state: StudyState, trial: int) -> StudyState:
    """The confirmation with its test set opened for the champion, unless that was done."""
    from harness.confirmation.opening import open_test_set

    known = state.openings.get(trial)
    if known is not None and known.evaluation is not None:
        return state
    opened = open_test_set(StudyPaths.of(state.name), trial, how="confirmed", note=LOGGER.info)
    if opened.behind:
        warnings.warn(f"{' '.join(opened.behind)} Finish it with: harness sync {state.name}", stacklevel=4)
    return opened.state
