"""T*: the same trainings in a bare compiled loop, dealt out to as many processes as there are workers.

No log, no checkpoints, no tracking, no model files. Nobody starts before every process has imported
TensorFlow and loaded the data.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

from benchmarks.arms.job import Job, read_job, tell
from benchmarks.arms.processes import run_in_processes, threads_of
from harness.seeds import seed_from


def work(job: Job, numbers: Any, everybody: Any) -> None:
    from harness.engine.tensorflow_setup import prepare_tensorflow

    prepare_tensorflow(threads_of(job))
    from benchmarks.arms.bare_loop import BareLoop

    loop = BareLoop(job.dataset, job.precision)
    everybody.wait()
    while (number := numbers.get()) is not None:
        params = job.configurations[number]
        tell("began", params)
        loop.train(
            params,
            seed_from(job.seed, "trial", number),
            job.epochs,
            job.epochs,
            lambda epoch, found, own=params: tell("epoch", own, epoch=epoch, accuracy=found),
        )
        tell("ended", params)


def main() -> None:
    job = read_job()
    context = multiprocessing.get_context("spawn")
    numbers = context.Queue()
    for number in [*range(len(job.configurations)), *[None] * job.workers]:
        numbers.put(number)
    everybody = context.Barrier(job.workers)
    run_in_processes(work, job, [(numbers, everybody)] * job.workers)


if __name__ == "__main__":
    main()
