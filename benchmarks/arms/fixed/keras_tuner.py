"""KerasTuner over the list, in its distributed mode.

With an oracle of our own, for its grid search lets a tuner wait until the trial before has ended.
"""

from __future__ import annotations

from typing import Any

from benchmarks.arms.job import Job, read_job
from benchmarks.arms.keras_tuner_processes import is_part_of_a_run, run_tuners


def tune(job: Job) -> None:
    import keras_tuner

    from benchmarks.arms.keras_fit import set_up
    from benchmarks.arms.keras_tuner_model import Told

    set_up(job)

    def params_of(hp: Any) -> Any:
        return job.configurations[hp.Int("configuration", 0, len(job.configurations) - 1)]

    class InOrder(keras_tuner.Oracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            number = len(self.start_order)
            if number == len(job.configurations):
                return {"status": "STOPPED"}
            return {"status": "RUNNING", "values": {"configuration": number}}

    tuner = keras_tuner.Tuner(
        oracle=InOrder(objective="val_accuracy", max_trials=len(job.configurations), seed=job.seed),
        hypermodel=Told(job, params_of),
        directory="keras_tuner",
        project_name="overhead",
    )
    tuner.search(epochs=job.epochs, verbose=0)


if __name__ == "__main__":
    if is_part_of_a_run():
        tune(read_job())
    else:
        run_tuners(read_job(), "benchmarks.arms.fixed.keras_tuner")
