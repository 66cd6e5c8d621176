"""The engine of a session: how many workers it is asked for, and what with."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Literal

from harness.engine import DEFAULT_ENGINE, ENGINES, default_workers, make_engine
from harness.engine.kind import EngineChoice, EngineSettings, Resources
from harness.engine.protocol import Engine
from harness.engine.sharing import asked_for, most_workers
from harness.errors import EngineError, UsageError
from harness.experiment.experiment import Experiment
from harness.gpus import gpus
from harness.machine import usable_cores
from harness.messages import nearest, shown
from harness.paths import StudyPaths
from harness.study.state import StudyState
from harness.study_files import BucketFiles
from harness.sweeping.plan import Stop, Watcher
from harness.sweeping.preparing import PreparedData, measured_workers

ON_THIS_MACHINE = EngineChoice(DEFAULT_ENGINE)
MOST_ON_CLUSTER = 256
"""Workers that a cluster is asked for, unless there are fewer trials or somebody says otherwise."""


def engine_choice(name: str, address: str | None = None, files: str | None = None) -> EngineChoice:
    """The engine that somebody names, the address of its cluster, and the bucket for a new study's files.

    Raises:
        UsageError: there is no such engine, or it has no address.
    """
    if name not in ENGINES:
        raise UsageError(
            f"{shown(name)} is none of the engines: {', '.join(ENGINES)}{nearest(name, ENGINES)}."
        )
    if address is not None and not ENGINES[name].has_address:
        others = " or ".join(f"--engine {other}" for other, kind in ENGINES.items() if kind.has_address)
        raise UsageError(
            f"The engine {name} uses this machine, so that the address {shown(address)} has no meaning "
            f"for it. It is that of a cluster: {others}."
        )
    return EngineChoice(name, address, files)


def foreseen_workers(
    experiment: Experiment,
    asked: int | Literal["auto"] | None = None,
    chosen: EngineChoice = ON_THIS_MACHINE,
) -> int:
    """How many there will be as far as that is known without measuring anything; never more than trials."""
    total, wanted = experiment.search.trials, asked or experiment.search.workers
    usual = default_workers(total, chosen.name) if chosen.address is None else MOST_ON_CLUSTER
    return min(total, wanted if isinstance(wanted, int) else usual)


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
    if (asked or experiment.search.workers) != "auto":
        return foreseen_workers(experiment, asked, chosen)
    if chosen.name != ON_THIS_MACHINE.name:
        raise EngineError(
            f"The best number of workers is measured on this machine, and --engine {chosen.name} places them "
            "elsewhere. Give --workers a number, the most that there may be."
        )
    return min(experiment.search.trials, measured_workers(experiment, prepared().dataset, watcher, stop))


def engine_settings(
    experiment: Experiment,
    paths: StudyPaths,
    workers: int,
    chosen: EngineChoice,
    note: Callable[[str], None],
    *,
    files: str = "",
    threads: int | None = None,
    by_itself: bool = False,
) -> EngineSettings:
    """What an engine is made of; says it where `resources`, or a number of workers, do not fit.

    Args:
        experiment: what is trained.
        paths: where the files of its trials are.
        workers: that train side by side from the beginning.
        chosen: the engine.
        note: told what a person should know.
        files: the URL of the trials' files; empty: they are in their folder.
        threads: that compute one operation in each worker; None for what it has.
        by_itself: nobody has chosen the number of workers, so that on GPUs it may grow to what has room.
    """
    search, resources = experiment.search, experiment.resources
    on_this_machine = chosen.name == ON_THIS_MACHINE.name
    if resources != type(resources)() and on_this_machine:
        note("resources: they are asked of a cluster (--engine ray); here, workers share the machine.")
    most = workers
    if on_this_machine:
        devices = gpus()
        if by_itself and not search.ordered:  # an ordered study decides by how many workers there are
            most = most_workers(workers, search.trials, len(devices), usable_cores())
        elif not by_itself and (sentence := asked_for(workers, devices)) is not None:
            note(sentence)
    return EngineSettings(
        paths,
        most,
        search.worker_memory,
        search.data_memory,
        threads,
        resources=Resources(resources.cpus, resources.gpus, resources.memory),
        address=chosen.address,
        files=files,
        model=experiment.space.model,
        note=note,
        at_first=workers if most > workers else None,
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
