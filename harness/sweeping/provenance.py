"""What a session was run with: versions, machine, commit; written into the log as its first event."""

from __future__ import annotations

import platform
import socket
import uuid
from pathlib import Path
from typing import Any

from harness.clock import now_ms
from harness.experiment.experiment import Experiment
from harness.experiment.load import dump
from harness.machine import usable_cores
from harness.records import Dataset, StudyStarted, WarmStart
from harness.study.state import StudyState
from harness.sweeping.environment import environment, versions
from harness.sweeping.working_tree import commit, uncommitted


def study_started(
    name: str,
    experiment: Experiment,
    dataset: Dataset,
    state: StudyState,
    *,
    workers: int,
    seconds: float,
    weights: dict[str, str],
    threads: int | None = None,
    warm_start: WarmStart | None = None,
    files: str = "",
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
        threads: of an operation in each worker; None: its share of the cores.
        warm_start: what the study learns from others.
        files: the URL of the study's files; empty: they are in its folder.
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
        versions=versions(),
        host=_host(),
        git_commit=commit(Path.cwd()),
        window=window,
        spent_ms=round(1000 * seconds),
        weights=weights,
        environment=environment(workers, threads, experiment.model),
        files=files,
        uncommitted=uncommitted(Path.cwd()),
        warm_start=None if warm_start == state.warm_start else warm_start,
        time=now_ms(),
    )


def _host() -> dict[str, Any]:
    return {
        "name": socket.gethostname(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": usable_cores(),
    }
