"""The engine of a session: how many workers it is asked for, and what with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Literal

from harness.engine import default_workers, make_engine
from harness.engine.kind import EngineChoice, EngineSettings, Resources
from harness.engine.protocol import Engine
from harness.errors import EngineError
from harness.experiment.experiment import Experiment
from harness.paths import StudyPaths
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
    experiment: Experiment, paths: StudyPaths, workers: int, chosen: EngineChoice, watcher: Watcher
) -> EngineSettings:
    """What the engine of a session is made of; says it where `resources` do not hold."""
    search, resources = experiment.search, experiment.resources
    if resources != type(resources)() and chosen == ON_THIS_MACHINE:
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
        model=experiment.space.model,
        note=watcher.note,
    )


@contextmanager
def started_engine(settings: EngineSettings, chosen: EngineChoice) -> Iterator[Engine]:
    """An engine whose workers are starting; they end with it."""
    with closing(make_engine(settings, chosen.name)) as engine:
        engine.start()
        yield engine
