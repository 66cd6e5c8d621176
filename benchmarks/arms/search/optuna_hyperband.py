"""Optuna: TPE, its Hyperband pruner and Keras callback, a process for each worker on a journal file."""

from __future__ import annotations

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.arms.job import Job, read_job, tell
from benchmarks.arms.processes import run_in_processes

STUDY = "search"


def study_of(job: Job, worker: int) -> optuna.Study:
    from benchmarks.arms.searching import MIN_EPOCHS, REDUCTION

    return optuna.create_study(
        study_name=STUDY,
        storage=JournalStorage(JournalFileBackend("journal.log")),
        load_if_exists=True,
        direction="maximize",
        # As Optuna's documentation advises for several processes and conditional spaces.
        sampler=optuna.samplers.TPESampler(
            seed=job.seed + worker, multivariate=True, group=True, constant_liar=True
        ),
        pruner=optuna.pruners.HyperbandPruner(MIN_EPOCHS, job.epochs, REDUCTION),
    )


def work(job: Job, worker: int) -> None:
    import keras
    from optuna_integration import KerasPruningCallback

    from benchmarks.arms.keras_fit import fit, set_up
    from benchmarks.arms.searching import resolved
    from harness.sweeping.samplers.suggesting import suggest

    set_up(job)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: optuna.Trial) -> float:
        params = resolved(job, lambda name, among: suggest(trial, name, among))
        tell("began", params)
        try:
            _, history = fit(params, job, [KerasPruningCallback(trial, "val_accuracy")])
        finally:
            tell("ended", params)
            keras.backend.clear_session()
        return float(history.history["val_accuracy"][-1])

    study_of(job, worker).optimize(objective)  # until the benchmark ends it


def main() -> None:
    job = read_job()
    study_of(job, 0)
    run_in_processes(work, job, [(worker,) for worker in range(job.workers)])


if __name__ == "__main__":
    main()
