"""Open the sealed test set for one model, of a trial or of an ensemble, and count it.

What is counted are the models of a study that were evaluated on the test images of its data, which are known
by their digest. An opening is written into the study's log, and is durable there, before a worker predicts on
the first test image, and a second time with what was found before anybody is shown it. So whatever is killed
at whatever moment: what has been predicted on was counted, once; who types the same command again finishes
what was cut off; and what was found before is shown again from the log, without another prediction.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from harness.clock import now_ms
from harness.confirmation.sealed_data import sealed_data
from harness.deploy.trained import check_recorded
from harness.errors import EngineError
from harness.paths import StudyPaths
from harness.records import Dataset, Evaluation, OpeningKind, Progress, Question, TestOpened
from harness.study.finished import FinishedModel, finished_ensemble, finished_trial, latest_ensemble
from harness.study.state import StudyState
from harness.sweeping.locked_study import LockedStudy, locked_study
from harness.sweeping.workers import Workers

ANSWER_SECONDS = 3600.0
"""How long a worker may take to start, and how long to predict for all test images."""


def _unheard(label: str, done: int, total: int) -> None:
    """A `Progress` that nobody looks at."""
    del label, done, total


@dataclass(frozen=True, slots=True)
class Opened:
    """What a model is worth on the test images."""

    model: FinishedModel
    evaluation: Evaluation
    state: StudyState
    """The study with it; `test_openings` tells how often its test set was opened."""
    behind: tuple[str, ...] = ()
    """Sentences about trackers that could not be brought up to date."""

    @property
    def trial(self) -> int | None:
        """The trial's number; None if it is an ensemble's model."""
        return self.model.trial


def open_test_set(
    paths: StudyPaths,
    trial: int | None = None,
    *,
    ensemble: bool = False,
    how: OpeningKind = "as_is",
    note: Callable[[str], None] = lambda _: None,
    progress: Progress = _unheard,
) -> Opened:
    """Evaluate a saved model on the test images, unless that is known; nothing is trained.

    Args:
        paths: of the study, which must not be running.
        trial: whose model, by the trial's number; None for the best one by its validation score.
        ensemble: the model is that of the study's latest ensemble instead.
        how: what kind of opening it is.
        note: told what a person should know.
        progress: told while the data set is prepared again.

    Raises:
        StudyError: the study is running, or has no such trial or no ensemble, or the trial is not complete,
            or the data set has no test images, or has changed.
        ExportError: the model is missing or damaged.
        DataError: the data set is gone.
        EngineError: no worker has answered. The opening counts, and the same call finishes it.
        OSError: the log cannot be written.
    """
    with locked_study(paths, note) as study:
        state = study.state
        chosen = finished_ensemble(latest_ensemble(state)) if ensemble else finished_trial(state, trial)
        before = chosen.opening(state)
        evaluation = before.evaluation if before else None
        if evaluation is None:  # the test set was not opened for this model, or that was cut off
            evaluation = _evaluate(study, chosen, how, progress)
        return Opened(chosen, evaluation, state, study.track())


def _evaluate(study: LockedStudy, model: FinishedModel, how: OpeningKind, progress: Progress) -> Evaluation:
    """Open the test set: write down that it is, let a worker predict, write down what was found."""
    check_recorded(study.paths.folder / model.file, model.sha256)
    dataset, digest = sealed_data(study.state, progress)
    with study.worker() as workers:
        before = model.opening(study.state)
        opening = before or TestOpened(
            trial=model.trial,
            ensemble=model.ensemble,
            how=how,
            epoch=model.epoch,
            model_sha256=model.sha256,
            test_digest=digest,
            images=dataset.counts["test"],
            time=now_ms(),
        )
        if before is None:
            study.write(opening)
        found = _ask(study.paths, workers, model, dataset)
    study.write(replace(opening, evaluation=found, time=now_ms()))
    return found


def _ask(paths: StudyPaths, workers: Workers, model: FinishedModel, dataset: Dataset) -> Evaluation:
    command = f"harness confirm {paths.folder.name} {model.arguments} --as-is"
    again = f"The opening counts, and is finished by: {command}"
    answer = workers.ask(_question(paths, model, dataset), ANSWER_SECONDS)
    if answer is None:
        raise EngineError(
            f"The worker that was to evaluate the model on the test {dataset.noun}s is gone; "
            f"{paths.workers} may tell why. {again}"
        )
    if answer.error is not None:
        raise EngineError(
            f"The model could not be evaluated on the test {dataset.noun}s. {answer.error} {again}"
        )
    return Evaluation(**json.loads(answer.said))


def _question(paths: StudyPaths, model: FinishedModel, dataset: Dataset) -> Question:
    return Question(
        name="test",
        arguments={
            "study_folder": str(paths.folder),
            "file": model.file,
            "sha256": model.sha256,
            "dataset": asdict(dataset),
        },
    )
