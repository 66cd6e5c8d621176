"""The records that pass between layers: plain, frozen, JSON-serialisable.

Workers and the coordinator exchange them as JSON lines, and the event log stores the same ones, so
every field is a number, a string, a bool, None, or a list, dict or record of those.
"""

from __future__ import annotations

from harness.records.basic import (
    Annealing,
    Checkpoint,
    Dataset,
    Evaluation,
    FailureKind,
    Params,
    Phase,
    Precision,
    Progress,
    RefusalReason,
    Scalar,
    Segment,
    TrialState,
    noun_of,
)
from harness.records.codec import dataset_from_dict, event_from_dict, event_from_log, segment_from_dict
from harness.records.cost import Cost
from harness.records.device import Device
from harness.records.ensemble import Gain, Member
from harness.records.environment import Environment
from harness.records.questions import Answer, Question
from harness.records.study_events import (
    ConfigurationRefused,
    EnsembleKind,
    EnsembleSaved,
    Event,
    LogRecord,
    OpeningKind,
    SegmentStarted,
    StudyEnded,
    StudyStarted,
    TestOpened,
    TrialEnded,
    TrialStarted,
)
from harness.records.warm_start import EarlierTrial, WarmStart
from harness.records.worker_events import (
    CheckpointDamaged,
    CheckpointSaved,
    DiskFull,
    EpochEnded,
    FeaturesReady,
    ModelMeasured,
    ModelSaved,
    Pulse,
    SegmentEnded,
    SegmentFailed,
    StoreAway,
    TrainingEnded,
    TrialEvent,
    WorkerEvent,
)

__all__ = [
    "Annealing",
    "Answer",
    "Checkpoint",
    "CheckpointDamaged",
    "CheckpointSaved",
    "ConfigurationRefused",
    "Cost",
    "Dataset",
    "Device",
    "DiskFull",
    "EarlierTrial",
    "EnsembleKind",
    "EnsembleSaved",
    "Environment",
    "EpochEnded",
    "Evaluation",
    "Event",
    "FailureKind",
    "FeaturesReady",
    "Gain",
    "LogRecord",
    "Member",
    "ModelMeasured",
    "ModelSaved",
    "OpeningKind",
    "Params",
    "Phase",
    "Precision",
    "Progress",
    "Pulse",
    "Question",
    "RefusalReason",
    "Scalar",
    "Segment",
    "SegmentEnded",
    "SegmentFailed",
    "SegmentStarted",
    "StoreAway",
    "StudyEnded",
    "StudyStarted",
    "TestOpened",
    "TrainingEnded",
    "TrialEnded",
    "TrialEvent",
    "TrialStarted",
    "TrialState",
    "WarmStart",
    "WorkerEvent",
    "dataset_from_dict",
    "event_from_dict",
    "event_from_log",
    "noun_of",
    "segment_from_dict",
]
