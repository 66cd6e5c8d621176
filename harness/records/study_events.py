"""What the coordinator decides and does: frozen events, with their time in milliseconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from harness.records.basic import (
    Annealing,
    Dataset,
    Evaluation,
    FailureKind,
    Params,
    RefusalReason,
    TrialState,
)
from harness.records.ensemble import Gain, Member
from harness.records.environment import Environment
from harness.records.registry import event
from harness.records.warm_start import WarmStart
from harness.records.worker_events import TrialEvent

OpeningKind: TypeAlias = Literal["as_is", "confirmed", "train"]
"""Why the test images were opened: for a model as the sweep has left it, for one that was confirmed by fresh
trainings, or by `harness train` of an earlier version, which did so at the end of every training."""
EnsembleKind: TypeAlias = Literal["greedy", "best"]
"""How the members of an ensemble were chosen: one after the other, whichever improves the average most, or
the best trials in equal parts."""


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStarted:
    """A coordinator took the study up (also on every resume)."""

    study: str
    study_id: str
    """A UUID: names may be used again, ids never."""
    session: int
    """1 for the first start, 2 for the first resume, …"""
    experiment: dict[str, Any]
    """The experiment as validated, with overrides applied."""
    dataset: Dataset
    seed: int
    trials: int
    versions: dict[str, str]
    host: dict[str, Any]
    git_commit: str | None
    window: int = 0
    """In ordered mode, how many segments may be out before the oldest result is needed; else 0."""
    spent_ms: int = 0
    """What the session had taken by then and counts towards a time limit, in milliseconds."""
    weights: dict[str, str] = field(default_factory=dict)
    """SHA-256 (hex) of the weights of every backbone that the study has used so far, by its name or path."""
    environment: Environment | None = None
    """The session's machine and threads; None: it was recorded by a version before 0.5.0."""
    files: str = ""
    """Where workers keep checkpoints, models and predictions: the URL of a place in an object store; empty:
    in the study's folder."""
    uncommitted: str = ""
    """How the working tree's tracked files differed from the commit, as `git diff` tells it: bounded, and
    without secrets."""
    warm_start: WarmStart | None = None
    """What was learned from other studies in this session, before its first trial; None: nothing, or an
    earlier session has it."""
    time: int
    kind: Literal["study_started"] = "study_started"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationRefused:
    """The sampler suggested a configuration that cannot be trained here and now: it became no trial."""

    number: int
    """The number that the trial would have had; the next trial to start has it."""
    params: Params
    """All parameters, with defaults."""
    sampled: Params
    """What the sampler chose, by the sampler's parameter names."""
    reason: RefusalReason
    """What would not have been possible: to train it to its first rung or to its end in time, or to hold it
    in a worker's memory."""
    needed: float
    """Seconds or bytes that it would have taken."""
    available: float
    """Seconds or bytes that it might have taken."""
    time: int
    kind: Literal["configuration_refused"] = "configuration_refused"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    """A configuration was chosen; its trial exists in the study from now on."""

    trial: int
    params: Params
    """All parameters, with defaults: what the worker gets."""
    sampled: Params
    """What the sampler chose, by the sampler's parameter names."""
    seed: int
    generation: int = 1
    """Which of the study's spaces it comes from: 1 until the space is edited."""
    time: int
    kind: Literal["trial_started"] = "trial_started"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentStarted:
    """A segment was handed to a worker."""

    trial: int
    attempt: int
    start: int
    stop: int
    worker: int
    microbatches: int = 1
    annealing: Annealing | None = None
    """How the trial is trained to its end early, from here on; None: it is not."""
    time: int
    kind: Literal["segment_started"] = "segment_started"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """A trial's one terminal state."""

    trial: int
    state: TrialState
    score: float | None
    """The first objective's value; None without a finite one."""
    values: list[float] | None = None
    """The values of all objectives, in their order; None unless all are finite."""
    standard_error: float | None = None
    """Of `score`, where it is a mean over folds."""
    epoch: int
    """Epochs trained."""
    reason: str
    """Why it ended, in a sentence fragment: `finished`, `outcompeted at epoch 3`, the failure's message."""
    failure: FailureKind | None
    traceback: str
    time: int
    kind: Literal["trial_ended"] = "trial_ended"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEnded:
    """The coordinator let go of the study in an orderly way."""

    reason: str
    complete: bool
    """False if trials are missing and the study can be resumed."""
    time: int
    kind: Literal["study_ended"] = "study_ended"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class TestOpened:
    """A model of the study, a trial's or an ensemble's, is evaluated on the test images of its data.

    It is written twice: before a worker predicts on the first test image, without an evaluation, and with it
    before anybody is shown it. So an opening that was cut off is known of, counts, and can be finished; both
    together are one opening.
    """

    __test__ = False  # pytest takes classes that are so called for tests

    trial: int | None
    """The trial's number; None if it is an ensemble's model."""
    ensemble: int | None = None
    """The ensemble's number; None if it is a trial's model."""
    how: OpeningKind
    epoch: int
    """The epoch after which the model was saved; 0 of an ensemble's."""
    model_sha256: str
    """Of the model's file, in hex."""
    test_digest: str
    """SHA-256 (hex) of the test images and their labels; empty if an earlier version has opened them."""
    images: int
    """How many test images there are."""
    evaluation: Evaluation | None = None
    time: int
    kind: Literal["test_opened"] = "test_opened"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleSaved:
    """The models of some trials were averaged in one; its file is durable.

    `file` is a plain `.keras` file, from raw pixels to the weighted mean of its members' probabilities.
    Beside it stand `reference.npz` and `validation.npz`, as beside a trial's model, with the means of what
    the members had predicted.
    """

    number: int
    """Counts from 0."""
    members: list[Member]
    """The one with the largest share first; at least two."""
    how: EnsembleKind
    score: float
    """The study's first objective, on the validation images by which the members were chosen."""
    evaluation: Evaluation
    """Of these validation images."""
    gain: Gain
    """Over the best trial alone."""
    file: str
    """Path of the `.keras` file relative to the study's folder."""
    sha256: str
    size: int
    """Bytes."""
    parameters: int
    """Number of trainable and other weights."""
    weights_sha256: str
    """What the weights in the file are recognised by (`harness.model_weights`)."""
    predictions: str
    """Path, relative to the study's folder, of the file with what it predicts for every validation image."""
    predictions_sha256: str
    time: int
    kind: Literal["ensemble_saved"] = "ensemble_saved"


Event: TypeAlias = (
    TrialEvent
    | StudyStarted
    | ConfigurationRefused
    | TrialStarted
    | SegmentStarted
    | TrialEnded
    | StudyEnded
    | TestOpened
    | EnsembleSaved
)


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line of the event log: `seq` counts from 1 without gaps."""

    seq: int
    event: Event
