"""KerasTuner's Hyperband in its distributed mode; it takes trials up again from its checkpoints."""

from __future__ import annotations

from typing import Any

from benchmarks.arms.job import Job, read_job, tell
from benchmarks.arms.keras_tuner_processes import is_part_of_a_run, run_tuners

ITERATIONS = 1000


def tune(job: Job) -> None:
    import keras_tuner

    from benchmarks.arms.keras_fit import Telling, compiled, pipelines, set_up
    from benchmarks.arms.searching import REDUCTION, resolved
    from harness.experiment.distributions import Choice, Distribution, IntRange

    set_up(job)

    def params_of(hp: Any) -> Any:
        def suggest(name: str, among: Distribution) -> Any:
            if isinstance(among, Choice):
                # As text, for on its way through the chief a True would become a 1.
                by_text = {str(choice): choice for choice in among.choices}
                return by_text[hp.Choice(name, list(by_text))]
            if isinstance(among, IntRange):
                return hp.Int(name, among.low, among.high)
            return hp.Float(name, among.low, among.high, sampling="log" if among.log else "linear")

        return resolved(job, suggest)

    class Searched(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            return compiled(params_of(hp), job.dataset)

        def fit(self, hp: Any, model: Any, *args: Any, callbacks: Any = (), **options: Any) -> Any:
            params = params_of(hp)
            tell("began", params)
            train, held = pipelines(params, job.dataset)
            # `initial_epoch` is where Hyperband takes a trial up again; Keras counts on from it.
            history = model.fit(
                train, *args, validation_data=held, callbacks=[*callbacks, Telling(params)], **options
            )
            tell("ended", params)
            return history

    tuner = keras_tuner.Hyperband(
        Searched(),
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
