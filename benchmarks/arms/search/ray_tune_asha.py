"""Ray Tune with ASHA: random configurations, actors used again, poor trials stopped at rungs."""

from __future__ import annotations

from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator

from benchmarks.arms.job import Job, read_job, tell
from benchmarks.arms.ray_cluster import run_config, start
from benchmarks.arms.searching import MIN_EPOCHS, REDUCTION, distributions, resolved, space_of
from harness.experiment.distributions import Choice, Distribution, IntRange


def trainable(config: dict[str, Any], job: Job) -> None:
    import keras

    from benchmarks.arms.keras_fit import fit, set_up

    class Reporting(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            tune.report({"val_accuracy": float((logs or {})["val_accuracy"])})

    set_up(job)
    keras.backend.clear_session()
    params = resolved(job, lambda name, _: config[name])
    tell("began", params)
    fit(params, job, [Reporting()])
    tell("ended", params)


def as_ray(among: Distribution) -> Any:
    if isinstance(among, Choice):
        return tune.choice(list(among.choices))
    if isinstance(among, IntRange):
        return tune.randint(among.low, among.high + 1)
    return (tune.loguniform if among.log else tune.uniform)(among.low, among.high)


def main() -> None:
    job = read_job()
    start(job)
    tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, job=job), {"cpu": 1}),
        param_space={name: as_ray(among) for name, among in distributions(space_of(job)).items()},
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            num_samples=-1,  # until the benchmark ends it
            search_alg=BasicVariantGenerator(random_state=job.seed),
            max_concurrent_trials=job.workers,
            reuse_actors=True,
            scheduler=ASHAScheduler(max_t=job.epochs, grace_period=MIN_EPOCHS, reduction_factor=REDUCTION),
        ),
        run_config=run_config(),
    ).fit()


if __name__ == "__main__":
    main()
