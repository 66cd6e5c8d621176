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
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import partial

from harness.clock import now_ms
from harness.confirmation.sealed_data import sealed_data
from harness.deploy.trained import check_recorded
from harness.engine import make_engine
from harness.engine.kind import EngineSettings
from harness.errors import EngineError, StudyError
from harness.paths import StudyPaths, when_there_is_room
from harness.records import Dataset, Evaluation, OpeningKind, Progress, Question, TestOpened
from harness.study.event_log import EventLog
from harness.study.finished import FinishedModel, finished_ensemble, finished_trial, latest_ensemble
from harness.study.lock import study_lock
from harness.study.state import StudyState, fold
from harness.sweeping.plan import Stop
from harness.sweeping.waiting import wait_for_room
from harness.sweeping.workers import Workers
from harness.tracking.cursor import rebuild_runs
from harness.tracking.notes import told_once
from harness.tracking.running import close_trackers, start_trackers
from harness.tracking.storage_lock import storage_lock
from harness.tracking.tracker import TrackedStudy

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
    with ExitStack() as stack:
        stack.enter_context(study_lock(paths))
        stack.enter_context(storage_lock(paths.folder.name, note))
        log = stack.enter_context(closing(EventLog(paths.log)))
        if log.repairs:
            rebuild_runs(paths)
        for sentence in log.repairs:
            note(sentence)
        study = _OpenStudy(paths, log, fold(log.records), note)
        chosen = _model(study.state, trial, ensemble=ensemble)
        evaluation = study.known(chosen)
        if evaluation is None:
            evaluation = study.evaluate(chosen, how, progress)
        return Opened(chosen, evaluation, study.state, study.track())


@dataclass(frozen=True, slots=True)
class _OpenStudy:
    """A study whose log nobody else writes to."""

    paths: StudyPaths
    log: EventLog
    state: StudyState
    note: Callable[[str], None]

    def known(self, model: FinishedModel) -> Evaluation | None:
        """What was found when the test set was opened for a model; None if it was not, or was cut off."""
        before = model.opening(self.state)
        return before.evaluation if before else None

    def evaluate(self, model: FinishedModel, how: OpeningKind, progress: Progress) -> Evaluation:
        """Open the test set: write down that it is, let a worker predict, write down what was found."""
        check_recorded(self.paths.folder / model.file, model.sha256)
        dataset, digest = sealed_data(self.state, progress)
        search = self.state.experiment.search
        settings = EngineSettings(self.paths, 1, search.worker_memory, search.data_memory)
        with closing(make_engine(settings)) as engine:
            engine.start()
            before = model.opening(self.state)
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
                self._write(opening)
            found = self._ask(Workers(engine, None), model, dataset)
        self._write(replace(opening, evaluation=found, time=now_ms()))
        return found

    def _ask(self, workers: Workers, model: FinishedModel, dataset: Dataset) -> Evaluation:
        again = (
            "The opening counts, and is finished by: harness confirm "
            f"{self.paths.folder.name} {model.arguments} --as-is"
        )
        answer = workers.ask(_question(self.paths, model, dataset), ANSWER_SECONDS)
        if answer is None:
            raise EngineError(
                f"The worker that was to evaluate the model on the test images is gone; "
                f"{self.paths.workers} may tell why. {again}"
            )
        if answer.error is not None:
            raise EngineError(f"The model could not be evaluated on the test images. {answer.error} {again}")
        return Evaluation(**json.loads(answer.said))

    def _write(self, event: TestOpened) -> None:
        wait = wait_for_room(self.note, Stop())
        record = when_there_is_room(partial(self.log.append, event, durable=True), wait)
        self.state.apply(record)
        self.log.records.append(record)

    def track(self) -> tuple[str, ...]:
        """Tell the trackers all of the log; sentences about those that are behind."""
        study = TrackedStudy(self.paths, self.state.experiment.name, note=told_once(self.note))
        return close_trackers(start_trackers(study, self.log), lambda: False)


def _model(state: StudyState, trial: int | None, *, ensemble: bool) -> FinishedModel:
    """The model that is meant, which must be there."""
    if not state.has_begun:
        raise StudyError("The study never began: its event log is empty.")
    return finished_ensemble(latest_ensemble(state)) if ensemble else finished_trial(state, trial)


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
