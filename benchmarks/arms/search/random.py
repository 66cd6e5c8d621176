"""Random search with `fit`: each worker draws a configuration, trains it to the end, draws the next."""

from __future__ import annotations

from benchmarks.arms.job import Job, read_job, tell
from benchmarks.arms.processes import run_in_processes


def work(job: Job, worker: int) -> None:
    import random

    import keras

    from benchmarks.arms.keras_fit import fit, set_up
    from benchmarks.arms.searching import drawn, resolved

    set_up(job)
    rng = random.Random(f"{job.seed} {worker}")
    while True:  # until the benchmark ends it
        params = resolved(job, lambda _, among: drawn(rng, among))
        tell("began", params)
        fit(params, job)
        tell("ended", params)
        keras.backend.clear_session()


def main() -> None:
    job = read_job()
    run_in_processes(work, job, [(worker,) for worker in range(job.workers)])


if __name__ == "__main__":
    main()
