"""What a session was run with: versions, machine, commit; written into the log as its first event."""

from __future__ import annotations

import platform
import socket
import subprocess
import uuid
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.clock import now_ms
from harness.experiment.experiment import Experiment
from harness.experiment.load import dump
from harness.machine import usable_cores
from harness.records import Dataset, StudyStarted
from harness.study.state import StudyState

PACKAGES = ("tensorflow", "keras", "mlflow", "optuna", "numpy", "harness")


def study_started(
    name: str,
    experiment: Experiment,
    dataset: Dataset,
    state: StudyState,
    *,
    workers: int,
    seconds: float,
    weights: dict[str, str],
) -> StudyStarted:
    """The first event of a session.

    Args:
        name: the study's.
        experiment: as it is run.
        dataset: as it was prepared.
        state: the study so far; empty if this is its first session.
        workers: how many train; in ordered mode, the window of a study that begins.
        seconds: what the session has taken so far, as far as it counts towards a time limit.
        weights: SHA-256 (hex) of pretrained weights, by backbone.
    """
    earlier = state.started if state.has_begun else None
    # The window belongs to the study: with other workers it goes on in the order it began in.
    window = earlier.window if earlier else workers if experiment.search.ordered else 0
    return StudyStarted(
        study=name,
        study_id=earlier.study_id if earlier else uuid.uuid4().hex,
        session=state.sessions + 1,
        experiment=dump(experiment),
        dataset=dataset,
        seed=experiment.seed,
        trials=experiment.search.trials,
        versions={package: _version(package) for package in PACKAGES},
        host=_host(),
        git_commit=_git_commit(Path.cwd()),
        window=window,
        spent_ms=round(1000 * seconds),
        weights=weights,
        time=now_ms(),
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _host() -> dict[str, Any]:
    return {
        "name": socket.gethostname(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": usable_cores(),
    }


def _git_commit(folder: Path) -> str | None:
    """The commit of the repository that `folder` is in, with `+changes` if the tree is dirty."""

    def git(*arguments: str) -> str:
        found = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return found.stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return f"{commit}+changes" if git("status", "--porcelain", "-uno") else commit
    except (OSError, subprocess.SubprocessError):
        return None
