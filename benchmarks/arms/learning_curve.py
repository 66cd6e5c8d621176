"""A worker that trains configurations to their ends: one JSON line in, one with the learning curve out.

It trains as a sweep's worker does (the same program, batches and rates for the same seed), but leaves no
checkpoints and no models behind, so that what it measures is the training alone.
"""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from harness.engine.channel import own_channel
from harness.engine.tensorflow_setup import prepare_tensorflow
from harness.experiment.parameters import complete
from harness.records import Dataset, Params, Precision

if TYPE_CHECKING:
    from harness.train.images import SplitImages
    from harness.train.program import Program
    from harness.train.worker_cache import WorkerCache

Seconds = npt.NDArray[np.float64]
"""Of the clock on the wall, and of the processor."""


def main() -> None:
    requests, answers = own_channel()
    task = json.loads(requests.readline())
    prepare_tensorflow(task["threads"])
    from harness.train.images import Room, split_images
    from harness.train.worker_cache import WorkerCache

    cache = WorkerCache()
    dataset = TypeAdapter(Dataset).validate_python(task["dataset"])
    images = split_images(cache.open(dataset), Room(cache.data_memory))
    for line in requests:
        wanted = json.loads(line)
        params = complete(wanted["params"])
        found = learning_curve(
            cache,
            dataset,
            images,
            params,
            wanted["seed"],
            task["epochs"],
            wanted["cycles"],
            task["precision"],
        )
        print(json.dumps(found), file=answers, flush=True)


def learning_curve(
    cache: WorkerCache,
    dataset: Dataset,
    images: SplitImages,
    params: Params,
    seed: int,
    epochs: int,
    cycles: list[int],
    precision: Precision,
) -> dict[str, Any]:
    """What `benchmarks.table.curves.Training` says of a training, without what was asked for."""
    from harness.model.schedules import learning_rates
    from harness.seeds import seed_from
    from harness.train.batching import batch_indices
    from harness.train.cost import cost
    from harness.train.metrics import summary
    from harness.train.program import Program

    began = now()
    shape, classes = dataset.image_shape, len(dataset.classes)
    program = Program(params, shape, classes, cache.statistics(), precision=precision)
    compile_all(program, images, params)
    compiling = now() - began
    program.reset(seed_from(seed, "weights"), dropout=float(params["dropout"]))
    right: list[int] = []
    losses: list[float | None] = []
    took: list[Seconds] = []
    for epoch in range(1, epochs + 1):
        began = now()
        indices = batch_indices(images.train_labels, params, seed, epoch)
        indices = images.rows(indices, seed, epoch)
        rates = learning_rates(params, epoch, epochs, len(indices), cycles)
        program.train_epoch(images.train.chunks(indices), rates, seed_from(seed, epoch), params)
        with program.averaged():
            logits = program.predict(images.validation)
        loss = summary(logits, images.validation_labels)["loss"]
        took.append(now() - began)
        right.append(int((logits.argmax(axis=1) == images.validation_labels).sum()))
        losses.append(round(loss, 4) if math.isfinite(loss) else None)
    counted = cost(params, shape, classes)
    work = len(images.train_labels) * (counted["forward"] + counted["backward"])
    work += len(images.validation_labels) * counted["forward"]
    return {
        "right": right,
        "loss": losses,
        "seconds": [rounded(seconds[0]) for seconds in took],
        "processor": [rounded(seconds[1]) for seconds in took],
        "compiling": [rounded(seconds) for seconds in compiling],
        "multiply_adds": work,
    }


def compile_all(program: Program, images: SplitImages, params: Params) -> None:
    """One step and one prediction, so that the first epoch takes no longer than the others."""
    from harness.train.batching import batch_indices

    first = batch_indices(images.train_labels, params, 0, 1)[:1]
    program.reset(0, dropout=float(params["dropout"]))
    program.train_epoch(images.train.chunks(first), np.full(1, 1e-4, np.float32), 0, params)
    program.predict(images.validation[:1])


def rounded(seconds: float) -> float:
    return float(f"{seconds:.4g}")


def now() -> Seconds:
    """The time of the clock on the wall, and the processor time that this process has used."""
    return np.array([time.perf_counter(), time.process_time()])


if __name__ == "__main__":
    main()
