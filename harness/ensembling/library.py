"""The models that an ensemble may be made of: complete trials that have left what they predict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.analysis.compared import stored_predictions
from harness.analysis.findings import metric_of
from harness.ensembling.selection import Labels, Probabilities
from harness.errors import StudyError
from harness.metrics.counting import predictions_of
from harness.metrics.metric import Metric
from harness.predictions import logarithms, softmax
from harness.study.state import StudyState
from harness.study.trial import Trial

MOST_TRIALS = 50
"""Trials that are looked at, the best ones."""
MOST_BYTES = 512 * 2**20
"""Of their probabilities."""
BYTES = 4
ROUNDING = 1e-6
"""How far a score may be from what the stored predictions give."""


@dataclass(frozen=True, slots=True)
class Library:
    """What the trials of a study predicted for its validation images."""

    trials: tuple[Trial, ...]
    """M of them, the best first."""
    probabilities: Probabilities
    """(M, n, K)."""
    labels: Labels
    """(n,)."""
    metric: Metric
    """The study's first objective."""
    maximize: bool

    def value(self, probabilities: Probabilities, labels: Labels) -> float:
        """The objective of probabilities (n, K), as the study reports it."""
        return self.metric.of(predictions_of(logarithms(probabilities), labels))

    def worth(self, probabilities: Probabilities, labels: Labels) -> float:
        """The objective of probabilities (n, K); larger is better."""
        value = self.value(probabilities, labels)
        return value if self.maximize else -value


def library_of(folder: Path, state: StudyState) -> Library:
    """The best trials of a study and what they predicted.

    Args:
        folder: of the study.
        state: of the study, which must have begun.

    Raises:
        StudyError: nothing can be chosen by what its trials have predicted; why not.
    """
    metric = metric_of(state.objective.name)
    if metric is None:
        raise StudyError(
            f"The trials of {state.name} are ranked by {state.objective.name}, by which no average is better "
            "than the best of them. Ensembles are made where the first objective is a metric of predictions."
        )
    noun = state.started.dataset.noun
    if state.folds.parts:
        raise StudyError(
            f"The trials of {state.name} are scored over folds, whose models are not kept: the models that "
            f"are there were trained on all {noun}s, so that none are left to choose an ensemble by. A study "
            f"with --set dataset.folds=null has validation {noun}s."
        )
    if not state.started.dataset.counts.get("validation"):
        raise StudyError(f"The study {state.name} has no validation {noun}s to choose an ensemble by.")
    scored = [one for one in state.trials.values() if one.state == "complete" and one.score is not None]
    scored.sort(key=lambda one: (-state.objective.larger_is_better(one.score or 0.0), one.number))
    trials: list[Trial] = []
    probabilities: list[Probabilities] = []
    labels: Labels | None = None
    for trial in scored:
        stored = stored_predictions(folder, trial)
        if stored is None or not (labels is None or np.array_equal(labels, stored.labels)):
            continue
        score = metric.of(predictions_of(stored.logits, stored.labels))
        if abs(score - (trial.score or 0.0)) > ROUNDING * max(1.0, abs(score)):
            continue
        labels = stored.labels
        trials.append(trial)
        probabilities.append(softmax(stored.logits))
        if len(trials) == min(MOST_TRIALS, max(2, MOST_BYTES // (stored.logits.size * BYTES))):
            break
    if labels is None or len(trials) < 2:
        raise StudyError(_too_few(state, len(trials)))
    return Library(tuple(trials), np.stack(probabilities), labels, metric, state.objective.maximize)


def _too_few(state: StudyState, kept: int) -> str:
    """Why there are not two trials to average, and what to do."""
    complete = sum(trial.state == "complete" for trial in state.trials.values())
    if complete < 2:
        there = "one is" if complete else "none is"
        return (
            f"An ensemble needs two complete trials, and of the {len(state.trials)} trials of {state.name} "
            f"{there}: those that were pruned have no model. More trials may be: harness resume {state.name} "
            "--trials N. In a new study with --set scheduler.kind=none all of them are."
        )
    there = "one has" if kept else "none has"
    return (
        "An ensemble needs two complete trials that have left their predictions (validation.npz), and of the "
        f"{complete} complete trials of {state.name} {there}. Trials of versions before 0.5.0 have none, nor "
        "have those with more than 32 MB of them."
    )
