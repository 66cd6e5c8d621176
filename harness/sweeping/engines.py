"""The engine of a session: how many workers it is asked for, and what with."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Literal

from harness.engine import default_workers, make_engine
from harness.engine.kind import EngineChoice, EngineSettings, Resources
from harness.engine.protocol import Engine
from harness.errors import EngineError
from harness.experiment.experiment import Experiment
from harness.paths import StudyPaths
from harness.study.state import StudyState
from harness.study_files import BucketFiles
from harness.sweeping.plan import Stop, Watcher
from harness.sweeping.preparing import PreparedData, measured_workers

ON_THIS_MACHINE = EngineChoice()
MOST_ON_CLUSTER = 256
"""Workers that a cluster is asked for, unless there are fewer trials or somebody says otherwise."""


def number_of_workers(
    experiment: Experiment,
    asked: int | Literal["auto"] | None,
    chosen: EngineChoice,
    prepared: Callable[[], PreparedData],
    watcher: Watcher,
    stop: Stop,
) -> int:
    """As many as were asked for or measured to be best, but never more than trials.

    Raises:
        EngineError: they are to be measured on this machine, but work elsewhere.
    """
    total = experiment.search.trials
    usual = default_workers(total, chosen.name) if chosen.address is None else MOST_ON_CLUSTER
    wanted = asked or experiment.search.workers or usual
    if wanted == "auto" and chosen.name != ON_THIS_MACHINE.name:
        raise EngineError(
            f"The best number of workers is measured on this machine, and --engine {chosen.name} places them "
            "elsewhere. Give --workers a number, the most that there may be."
        )
    return min(
        total, wanted if wanted != "auto" else measured_workers(experiment, prepared().dataset, watcher, stop)
    )


def engine_settings(
    experiment: Experiment,
    paths: StudyPaths,
    workers: int,
    chosen: EngineChoice,
    files: str,
    watcher: Watcher,
) -> EngineSettings:
    """What the engine of a session is made of; says it where `resources` do not hold.

    Args:
        experiment: that is run.
        paths: of the study.
        workers: how many there may be.
        chosen: the engine.
        files: the URL of the study's files; empty: they are in its folder.
        watcher: told what a person should know.
    """
    search, resources = experiment.search, experiment.resources
    if resources != type(resources)() and chosen.name == ON_THIS_MACHINE.name:
        watcher.note(
            "resources: they are asked of a cluster (--engine ray); here, workers share the machine."
        )
    return EngineSettings(
        paths,
        workers,
        search.worker_memory,
        search.data_memory,
        resources=Resources(resources.cpus, resources.gpus, resources.memory),
        address=chosen.address,
        files=files,
        note=watcher.note,
    )


def place_of_files(chosen: EngineChoice, name: str, state: StudyState, note: Callable[[str], None]) -> str:
    """The URL of a study's files, which must be of use; empty: they are in its folder.

    A study that has begun keeps its files where it has them.

    Args:
        chosen: the bucket for a study that begins.
        name: of the study; as names may be used again, a few random digits are added.
        state: the study so far.
        note: told if the bucket is not used.

    Raises:
        UnreachableError: files cannot be written, read and removed there.
    """
    if state.has_begun:
        place = state.started.files
        if chosen.files is not None and not place.startswith(chosen.files.rstrip("/") + "/"):
            note(f"The study's files stay where it has begun with them: {place or 'in its folder'}.")
    elif chosen.files is None:
        place = ""
    else:
        place = f"{chosen.files.rstrip('/')}/{name}-{secrets.token_hex(4)}"
    if place:
        BucketFiles(place).check()
    return place


@contextmanager
def started_engine(settings: EngineSettings, chosen: EngineChoice) -> Iterator[Engine]:
    """An engine whose workers are starting; they end with it."""
    with closing(make_engine(settings, chosen.name)) as engine:
        engine.start()
        yield engine
