"""The event log folded into what a study is now: the one place where events get their meaning."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from harness.errors import ExperimentError, StudyError
from harness.experiment.experiment import Experiment, Objective
from harness.experiment.folds import Folds
from harness.experiment.load import restore
from harness.experiment.old_files import with_added_parameters
from harness.experiment.parameters import CATALOG
from harness.experiment.space_file import without_priors
from harness.records import (
    CheckpointDamaged,
    CheckpointSaved,
    ConfigurationRefused,
    EnsembleSaved,
    EpochEnded,
    FeaturesReady,
    LogRecord,
    ModelMeasured,
    ModelSaved,
    Params,
    SegmentEnded,
    SegmentFailed,
    SegmentStarted,
    StudyEnded,
    StudyStarted,
    TestOpened,
    TrialEnded,
    TrialStarted,
    WarmStart,
)
from harness.study.trial import MICROBATCHES, Trial


@dataclass(slots=True)
class StudyState:
    """A study so far; `apply` brings it up to date with one more record."""

    sessions: int = 0
    """How often a coordinator has taken it up; 0: it never began."""
    space_version: int = 1
    """Grows when the space is edited."""
    began_ms: int = 0
    session_began_ms: int = 0
    earlier_seconds: float = 0.0
    """Wall time of the sessions before the latest one."""
    trials: dict[int, Trial] = field(default_factory=dict)
    """Trials by their numbers, in the order in which they were started."""
    results: list[tuple[int, int]] = field(default_factory=list)
    """What every whole segment came to, in the order in which they ended: the trial and its epoch, or 0 where
    its training was over."""
    refused: list[ConfigurationRefused] = field(default_factory=list)
    """Configurations that the sampler suggested and that could not be trained, in their order."""
    kept: Params = field(default_factory=dict)
    """Parameters that its first trials had not been given because there were none, by the values that these
    trials have, where new trials would have another by default."""
    with_features: set[int] = field(default_factory=set)
    """Trials whose features have been computed, or found, by a worker."""
    openings: dict[int, TestOpened] = field(default_factory=dict)
    """Trials whose model has been evaluated on the test images, or was about to be, in the order of that."""
    ensembles: list[EnsembleSaved] = field(default_factory=list)
    """Averages of trials' models, by their numbers."""
    ensemble_openings: dict[int, TestOpened] = field(default_factory=dict)
    """As `openings`, of ensembles."""
    warm_start: WarmStart | None = None
    """What the study has learned from others before its own trials; None: nothing."""
    ended: StudyEnded | None = None
    """How the latest session ended; None while it runs, or if it was cut off."""
    last_seq: int = 0
    last_ms: int = 0
    """When the last record of a session was written, in milliseconds since 1970."""
    _started: StudyStarted | None = None
    _experiment: Experiment | None = None

    def apply(self, record: LogRecord) -> None:
        """Take in the next record of the log."""
        event = record.event
        self.last_seq = record.seq
        if isinstance(event, TestOpened):  # between sessions, so that it takes none of their time
            self._opened(event)
            return
        if isinstance(event, EnsembleSaved):  # between sessions, too
            self.ensembles.append(event)
            return
        before, self.last_ms = self.last_ms, event.time
        if isinstance(event, EpochEnded):
            self.trials[event.trial].epochs.setdefault(event.epoch, event.metrics)
        elif isinstance(event, StudyStarted):
            if self._started is not None and _space_of(self._started) != _space_of(event):
                self.space_version += 1
            self._started, self.sessions, self.ended = event, event.session, None
            self._experiment = None
            self.warm_start = event.warm_start or self.warm_start
            self.began_ms = self.began_ms or event.time
            self.earlier_seconds += max(0, before - self.session_began_ms) / 1000
            self.session_began_ms = event.time - event.spent_ms
        elif isinstance(event, StudyEnded):
            self.ended = event
        elif isinstance(event, ConfigurationRefused):
            self.refused.append(replace(event, params=self._whole(event.params)))
        elif isinstance(event, TrialStarted):
            self.trials[event.trial] = Trial(
                event.trial,
                self._whole(event.params),
                event.sampled,
                event.seed,
                event.time,
                folds=self.folds,
                space_version=event.generation,
            )
        else:
            self._apply_to_trial(self.trials[event.trial], record)

    def _opened(self, event: TestOpened) -> None:
        """Take in that the test images are, or were, predicted for with a trial's model."""
        if event.trial is None:
            assert event.ensemble is not None
            self.ensemble_openings[event.ensemble] = event
            return
        self.openings[event.trial] = event
        if event.evaluation is not None:
            trial = self.trials[event.trial]
            others = [one for one in trial.evaluations if one.split != "test"]
            trial.evaluations = [*others, event.evaluation]

    def _whole(self, params: Params) -> Params:
        """A recorded configuration with the parameters that were added since; notes what is to be kept."""
        whole = with_added_parameters(params, self.started.dataset.image_shape)
        self.kept.update(
            (name, value)
            for name, value in whole.items()
            if name not in params and value != CATALOG[name].default
        )
        return whole

    def _apply_to_trial(self, trial: Trial, record: LogRecord) -> None:
        event = record.event
        if isinstance(event, SegmentStarted):
            trial.state, trial.worker = "running", event.worker
            trial.attempts, trial.target = event.attempt, event.stop
            trial.microbatches = event.microbatches
            trial.annealing = event.annealing or trial.annealing
        elif isinstance(event, FeaturesReady):
            self.with_features.add(event.trial)
        elif isinstance(event, CheckpointSaved):
            trial.checkpoints = [*trial.checkpoints[-1:], event.checkpoint]
        elif isinstance(event, CheckpointDamaged):
            trial.checkpoints = [one for one in trial.checkpoints if one != event.checkpoint]
        elif isinstance(event, SegmentFailed):
            if event.failure == "out_of_memory" and not event.shared:
                trial.microbatches = MICROBATCHES
        elif isinstance(event, ModelMeasured):
            trial.measured = event.measured
        elif isinstance(event, ModelSaved):
            trial.model = event
        elif isinstance(event, SegmentEnded):
            if event.over or event.epoch > trial.reached:  # else it was stopped within its first epoch
                self.results.append((event.trial, 0 if event.over else event.epoch))
            trial.state, trial.reached, trial.training_complete = "paused", event.epoch, event.over
            trial.seconds += event.seconds
            of_folds = {one.fold: one for one in event.evaluations if one.fold is not None}
            trial.fold_evaluations |= of_folds
            if event.predictions:
                stored = event.predictions, event.predictions_sha256
                trial.fold_predictions |= dict.fromkeys(of_folds, stored)
            trial.evaluations = trial.evaluations if of_folds else event.evaluations or trial.evaluations
            self._opened_by_training(trial, event)
            trial.score = self.score_after(trial, event.epoch)
            trial.standard_error = self.standard_error_after(trial, event.epoch)
        elif isinstance(event, TrialEnded):
            trial.state, trial.ended_ms = event.state, event.time
            trial.score, trial.values = event.score, event.values
            trial.standard_error = event.standard_error
            trial.reason, trial.failure, trial.traceback = event.reason, event.failure, event.traceback

    def _opened_by_training(self, trial: Trial, event: SegmentEnded) -> None:
        """Take in what `harness train` of earlier versions did after every training."""
        for evaluation in event.evaluations:
            if evaluation.split == "test":
                self.openings[trial.number] = TestOpened(
                    trial=trial.number,
                    how="train",
                    epoch=event.epoch,
                    model_sha256=trial.model.sha256 if trial.model else "",
                    test_digest="",
                    images=sum(map(sum, evaluation.confusion)),
                    evaluation=evaluation,
                    time=event.time,
                )

    @property
    def has_begun(self) -> bool:
        """Whether a coordinator has ever taken the study up."""
        return self._started is not None

    @property
    def is_complete(self) -> bool:
        """Whether the latest session ended with nothing left to do."""
        return self.ended is not None and self.ended.complete

    @property
    def started(self) -> StudyStarted:
        """What the latest session began with; only of a study that has begun."""
        assert self._started is not None, "a log begins with StudyStarted"
        return self._started

    @property
    def name(self) -> str:
        """The study's name; only of a study that has begun."""
        return self.started.study

    @property
    def experiment(self) -> Experiment:
        """The latest session's experiment, compiled; only of a study that has begun.

        Raises:
            StudyError: another version of harness recorded it, and this one does not know what it names.
        """
        if self._experiment is None:
            try:
                self._experiment = restore(self.started.experiment)
            except ExperimentError as error:
                reasons = "; ".join(str(error).splitlines())
                raise StudyError(
                    f"The experiment that the study {self.name} has recorded cannot be read by this version "
                    f"of harness: {reasons}. Use the version that recorded it."
                ) from error
        return self._experiment

    @property
    def test_openings(self) -> list[TestOpened]:
        """One for every model of the study that was evaluated on the test images, or was about to be."""
        return [*self.openings.values(), *self.ensemble_openings.values()]

    @property
    def folds(self) -> Folds:
        """How a trial's epochs are divided among its trainings; only of a study that has begun."""
        dataset = self.started.dataset
        # Without folds nothing depends on how many epochs a training has, which old studies do not all tell.
        epochs = int(self.started.experiment["training"]["epochs"]) if dataset.folds else 1
        return Folds(dataset.folds, dataset.repeats, epochs)

    @property
    def objective(self) -> Objective:
        """What trials are ranked by."""
        return self.experiment.objective

    def scores(self, trial: Trial, until: int) -> dict[int, float]:
        """The objective by epoch, up to epoch `until`, where it is finite."""
        return trial.scores(self.objective.name, until)

    def score_after(self, trial: Trial, epoch: int) -> float | None:
        """The objective after an epoch, with folds its mean; None if it is not known or not finite."""
        value = trial.metrics_after(epoch).get(self.objective.name, math.nan)
        return value if math.isfinite(value) else None

    def standard_error_after(self, trial: Trial, epoch: int) -> float | None:
        """That of `score_after`, where it is a mean over folds; else None."""
        found = trial.folds.standard_error(trial.fold_scores(self.objective.name, epoch))
        return found if found is not None and math.isfinite(found) else None

    @property
    def elapsed_seconds(self) -> float:
        """Wall time until the last record, without the time between sessions."""
        return self.earlier_seconds + max(0, self.last_ms - self.session_began_ms) / 1000


def _space_of(started: StudyStarted) -> tuple[object, object]:
    """What a session may choose from."""
    return without_priors(started.experiment.get("space")), started.experiment.get("model")


def fold(records: Iterable[LogRecord]) -> StudyState:
    """The state that these records tell."""
    state = StudyState()
    for record in records:
        state.apply(record)
    return state


def best(state: StudyState) -> Trial | None:
    """The complete trial with the best finite score; of equals the one that was started first."""
    return best_of(state.trials.values(), state.objective) if state.trials else None


def best_of(trials: Iterable[Trial], objective: Objective) -> Trial | None:
    """The complete one with the best finite score; of equals the one that was started first."""
    scored = [
        (objective.larger_is_better(trial.score), -trial.number, trial)
        for trial in trials
        if trial.state == "complete" and trial.score is not None
    ]
    return max(scored, key=lambda one: one[:2])[2] if scored else None
