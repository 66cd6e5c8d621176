"""What a sweep would take, before there is one: a worker process is started to find out, and ends with it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from harness.engine.local import LocalEngine, threads_of
from harness.engine.memory import training_memory
from harness.errors import HarnessError
from harness.experiment.drawing import defaults
from harness.experiment.experiment import Experiment
from harness.experiment.parameters import complete
from harness.gpus import visible_gpus
from harness.paths import StudyPaths
from harness.records import Dataset
from harness.sweeping.costs import Ask
from harness.sweeping.engines import foreseen_workers
from harness.sweeping.precision import assumed
from harness.sweeping.prices import Prices, prices
from harness.sweeping.study_forecast import study_forecast
from harness.sweeping.workers import Workers


def planned(experiment: Experiment, dataset: Dataset) -> Prices | str:
    """Forecasts for an experiment on data that is prepared; or a sentence that says why there are none.

    Args:
        experiment: what would be run.
        dataset: what would be trained on.
    """
    workers = foreseen_workers(experiment)
    try:
        with _worker(workers) as ask:
            forecast = study_forecast(experiment, dataset, workers, assumed(experiment), ask)
            if forecast.costs.of(complete(defaults(experiment.space), experiment.model)):
                forecast.measure()
            found = prices(
                experiment,
                forecast,
                workers=workers,
                worker_bytes=training_memory(workers, len(visible_gpus()), experiment.search.worker_memory),
            )
    except (HarnessError, OSError) as error:
        return str(error)
    return found or f"The costs of its networks are not known: {forecast.costs.unknown}."


@contextmanager
def _worker(workers: int) -> Iterator[Ask]:
    """Puts questions to one process that is like each of so many workers."""
    with tempfile.TemporaryDirectory(prefix="harness-plan-") as folder:
        engine = LocalEngine(StudyPaths(Path(folder)), 1, threads=threads_of(workers))
        with closing(engine):
            engine.start()
            yield Workers(engine, None).ask
