"""Train configurations anew in the bare loop, with several seeds, and test them on the sealed split."""

from __future__ import annotations

from benchmarks.arms.job import read_job, tell
from benchmarks.arms.processes import share_cores, threads_of

SEEDS = 3


def main() -> None:
    job = read_job()
    share_cores(job)
    from harness.engine.tensorflow_setup import prepare_tensorflow

    prepare_tensorflow(threads_of(job))
    from benchmarks.arms.bare_loop import BareLoop

    loop = BareLoop(job.dataset)
    for params in job.configurations:
        for seed in range(SEEDS):
            program = loop.train(params, seed, job.epochs, job.epochs, lambda _, __: None, job.cycles)
            tell("tested", params, epoch=job.epochs, accuracy=loop.test_accuracy(program), seed=seed)


if __name__ == "__main__":
    main()
