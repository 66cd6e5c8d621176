"""A worker that measures what epochs take, once compiled: one JSON line in, one for each configuration out.

It trains on the data set's own images with the programs that a sweep's worker has. Of an epoch that takes
longer than the seconds it is given it trains as many steps, and predicts as many validation images, as fit in
there. When it is through it goes on until its input ends, so that whoever measures beside it is never alone.
"""

from __future__ import annotations

import json
import select
import time
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from harness.engine.channel import own_channel
from harness.engine.tensorflow_setup import prepare_tensorflow
from harness.records import Dataset, Params

if TYPE_CHECKING:
    from harness.train.worker_cache import WorkerCache

Seconds = npt.NDArray[np.float64]
"""Of the clock on the wall, and of the processor."""
REPEATS = 3
"""How often each time is taken; the median counts, since whoever shares the machine comes and goes."""


def main() -> None:
    requests, answers = own_channel()
    task = json.loads(requests.readline())
    prepare_tensorflow(task["threads"])
    from harness.train.rates import rates
    from harness.train.worker_cache import WorkerCache

    own = rates(task["precision"])  # all at once, as they will train
    cache = WorkerCache()
    dataset = TypeAdapter(Dataset).validate_python(task["dataset"])
    cache.open(dataset)
    for params in task["configurations"]:
        found = measured(cache, dataset, params, task["precision"], task["seconds"])
        print(json.dumps(found | {"rates": own}), file=answers, flush=True)
    print("through", file=answers, flush=True)
    for params in repeat(task["configurations"][0]):
        if select.select([requests], [], [], 0)[0]:
            return
        measured(cache, dataset, params, task["precision"], task["seconds"])


def measured(
    cache: WorkerCache, dataset: Dataset, params: Params, precision: Any, seconds: float
) -> dict[str, Any]:
    """Parameters, cost, and seconds, on the wall and of the processor: of compiling, a step, an epoch."""
    from harness.train.batching import batch_indices
    from harness.train.cost import cost
    from harness.train.images import Room, split_images
    from harness.train.program import Program

    assert cache.arrays is not None
    images = split_images(cache.arrays, Room(cache.data_memory))
    indices = batch_indices(images.train_labels, params, 0, 1)
    rates = np.full(len(indices), 1e-4, np.float32)
    began = now()
    program = Program(
        params, dataset.image_shape, len(dataset.classes), cache.statistics(), precision=precision
    )
    program.reset(0, dropout=float(params["dropout"]))

    def train(steps: int) -> Seconds:
        began = now()
        program.train_epoch(images.train.chunks(indices[:steps]), rates[:steps], 0, params)
        return (now() - began) / steps

    def predict(number: int) -> Seconds:
        began = now()
        program.predict(images.validation[:number])
        return (now() - began) / max(number, 1)

    train(1)
    predict(1)
    program.state()
    compiling = now() - began
    once = train(1)[0]
    steps = max(1, min(len(indices), int(seconds / REPEATS / once)))
    validation = len(images.validation)
    some = min(validation, max(16, int(seconds / REPEATS / once * indices.shape[1])))
    step = np.median([train(steps) for _ in range(REPEATS)], axis=0)
    predicting = np.median([predict(some) for _ in range(REPEATS)], axis=0) * validation
    return {
        "params": params,
        "cost": cost(params, dataset.image_shape, len(dataset.classes)),
        "compile": list(compiling),
        "step": list(step),
        "validation": list(predicting),
        "epoch": list(step * len(indices) + predicting),
        "steps": steps,
    }


def now() -> Seconds:
    """The time of the clock on the wall, and the processor time that this process has used."""
    return np.array([time.perf_counter(), time.process_time()])


if __name__ == "__main__":
    main()
