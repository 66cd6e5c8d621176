"""KerasTuner's Hyperband in its distributed mode; it takes trials up again from its checkpoints."""

from __future__ import annotations

from benchmarks.arms.job import Job, read_job
from benchmarks.arms.keras_tuner_processes import is_part_of_a_run, run_tuners

ITERATIONS = 1000


def tune(job: Job) -> None:
    import keras_tuner

    from benchmarks.arms.keras_fit import set_up
    from benchmarks.arms.keras_tuner_model import Told
    from benchmarks.arms.searching import REDUCTION, asking_keras_tuner, resolved

    set_up(job)
    tuner = keras_tuner.Hyperband(
        Told(job, lambda hp: resolved(job, asking_keras_tuner(hp))),
        objective="val_accuracy",
        max_epochs=job.epochs,
        factor=REDUCTION,
        hyperband_iterations=ITERATIONS,
        directory="keras_tuner",
        project_name="search",
        seed=job.seed,
    )
    tuner.search(verbose=0)


if __name__ == "__main__":
    if is_part_of_a_run():
        tune(read_job())
    else:
        run_tuners(read_job(), "benchmarks.arms.search.keras_tuner_hyperband")
