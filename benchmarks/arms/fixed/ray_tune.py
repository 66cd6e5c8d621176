"""Ray Tune over the list as a grid: a processor for each trial, actors used again, a model kept of each."""

from __future__ import annotations

from typing import Any

import ray
from ray import tune

from benchmarks.arms.job import Job, read_job, tell
from benchmarks.arms.ray_cluster import run_config, start


def trainable(config: dict[str, Any], job: Job) -> None:
    import tempfile
    from pathlib import Path

    import keras

    from benchmarks.arms.keras_fit import fit, set_up

    class Reporting(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            if epoch + 1 < job.epochs:
                tune.report({"val_accuracy": float((logs or {})["val_accuracy"])})

    set_up(job)
    params = job.configurations[config["configuration"]]
    tell("began", params)
    network, history = fit(params, job, [Reporting()])
    with tempfile.TemporaryDirectory() as folder:
        network.save(Path(folder) / "model.keras")
        tune.report(
            {"val_accuracy": history.history["val_accuracy"][-1]},
            checkpoint=tune.Checkpoint.from_directory(folder),
        )
    tell("ended", params)


def main() -> None:
    job = read_job()
    start(job)
    grid = {"configuration": tune.grid_search(list(range(len(job.configurations))))}
    results = tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, job=job), {"cpu": 1}),
        param_space=grid,
        tune_config=tune.TuneConfig(
            metric="val_accuracy", mode="max", max_concurrent_trials=job.workers, reuse_actors=True
        ),
        run_config=run_config(),
    ).fit()
    ray.shutdown()
    if results.num_errors:
        raise SystemExit(f"{results.num_errors} trials failed: {results.errors[0]}")


if __name__ == "__main__":
    main()
