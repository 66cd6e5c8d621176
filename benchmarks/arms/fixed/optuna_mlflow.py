"""`study.optimize` over enqueued trials, each an MLflow run with its model.

As Optuna's documentation advises for several processes on one machine: each calls `study.optimize` on
the same study in a journal file. (`MaxTrialsCallback` counts waiting trials or makes more than were
asked for; stopping when none waits makes exactly those enqueued.) As MLflow's: one `log_batch` for all
metrics, and `log_model` is told the requirements rather than left to infer them.
"""

from __future__ import annotations

import os
import time
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from benchmarks.arms.job import Job, read_job, tell
from benchmarks.arms.processes import run_in_processes

STUDY = "overhead"
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def storage() -> JournalStorage:
    return JournalStorage(JournalFileBackend("journal.log"))


def work(job: Job) -> None:
    import mlflow

    from benchmarks.arms.keras_fit import fit, set_up

    set_up(job)
    mlflow.set_experiment(STUDY)
    versions = [f"{name}=={_version(name)}" for name in ("tensorflow", "keras")]

    def objective(trial: optuna.Trial) -> float:
        params = job.configurations[trial.suggest_int("configuration", 0, len(job.configurations) - 1)]
        tell("began", params)
        with mlflow.start_run(run_name=f"trial-{trial.number}") as run:
            mlflow.log_params(params)
            network, history = fit(params, job)
            mlflow.MlflowClient().log_batch(run.info.run_id, metrics=_metrics(history.history))
            mlflow.keras.log_model(network, name="model", pip_requirements=versions)
        tell("ended", params)
        return float(history.history["val_accuracy"][-1])

    study = optuna.load_study(study_name=STUDY, storage=storage())
    study.optimize(objective, callbacks=[stop_when_none_waits])


def stop_when_none_waits(study: optuna.Study, _: FrozenTrial) -> None:
    if not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.stop()


def _metrics(history: dict[str, list[float]]) -> list[Any]:
    from mlflow.entities import Metric

    now = time.time_ns() // 1_000_000
    return [
        Metric(name, value, now, epoch)
        for name in METRICS
        for epoch, value in enumerate(history[name], start=1)
    ]


def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)


def main() -> None:
    job = read_job()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=STUDY, storage=storage(), direction="maximize")
    for number in range(len(job.configurations)):
        study.enqueue_trial({"configuration": number})
    import mlflow

    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_experiment(STUDY)  # makes the store's tables before two processes would
    run_in_processes(work, job, [()] * job.workers)


if __name__ == "__main__":
    main()
