"""The files of one study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.paths.places import EVENT_LOG, STUDIES, home

MODEL = "model.keras"
"""A trial's model."""
PREDICTIONS = "reference.npz"
"""What a model predicted for reference images when it was trained; the file stands beside the model."""
VALIDATION = "validation.npz"
"""What a model predicted for every validation image; the file stands beside the model."""
CHECKPOINTS = "checkpoint-*"
"""A pattern of the names of a trial's checkpoints."""
PROBE = "reachable"
"""What is written, read and removed to see whether an object store can be used."""
TRIALS = "trials"
ENSEMBLES = "ensembles"
WORKERS = "workers"


def trial_folder(number: int) -> str:
    """Where the files of one trial are, relative to the study's folder."""
    return f"{TRIALS}/{number:05d}"


def checkpoint_name(trial: int, epoch: int, attempt: int) -> str:
    """The checkpoint that an attempt wrote after `epoch`, relative to the study's folder."""
    return f"{trial_folder(trial)}/checkpoint-{epoch:05d}-{attempt}.ckpt"


def model_name(trial: int) -> str:
    """The model of one trial, relative to the study's folder."""
    return f"{trial_folder(trial)}/{MODEL}"


def predictions_name(trial: int) -> str:
    """What the model of one trial predicted for reference images, relative to the study's folder."""
    return f"{trial_folder(trial)}/{PREDICTIONS}"


def validation_name(trial: int) -> str:
    """What the model of one trial predicted for validation images, relative to the study's folder."""
    return f"{trial_folder(trial)}/{VALIDATION}"


def fold_predictions_name(trial: int, fold: int) -> str:
    """What the model of one fold of a trial predicted for its validation images, relative to the study's
    folder."""
    return f"{trial_folder(trial)}/fold_{fold:03d}.npz"


def ensemble_folder(number: int) -> str:
    """Where the files of one ensemble are, relative to the study's folder."""
    return f"{ENSEMBLES}/{number:05d}"


@dataclass(frozen=True, slots=True)
class StudyPaths:
    """The files of one study."""

    folder: Path

    @classmethod
    def of(cls, name: str) -> StudyPaths:
        """The paths of the study called `name` under `home()`; nothing is created."""
        return cls(home() / STUDIES / name)

    @property
    def log(self) -> Path:
        """The event log, one JSON record a line."""
        return self.folder / EVENT_LOG

    @property
    def experiment(self) -> Path:
        """The experiment file, where it was written for the data of this study."""
        return self.folder / "experiment.yaml"

    @property
    def lock(self) -> Path:
        """Held by the study's coordinator while it runs."""
        return self.folder / "study.lock"

    @property
    def owner(self) -> Path:
        """Who holds the lock, in JSON."""
        return self.folder / "owner.json"

    @property
    def tracking_cursor(self) -> Path:
        """How far MLflow has been brought up to date."""
        return self.folder / "tracking.json"

    @property
    def reference(self) -> Path:
        """The few images with which copies of the study's models are compared."""
        return self.folder / "reference"

    def trial(self, number: int) -> Path:
        """Checkpoints and model of one trial."""
        return self.folder / trial_folder(number)

    @property
    def workers(self) -> Path:
        """The logs of the worker processes."""
        return self.folder / WORKERS

    def worker_log(self, index: int) -> Path:
        """What a worker process printed."""
        return self.workers / f"worker-{index}.log"
