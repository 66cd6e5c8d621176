"""What KerasTuner trains: the same for a list of configurations as for a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras_tuner

from benchmarks.arms.job import Job, tell
from benchmarks.arms.keras_fit import Telling, compiled, pipelines
from harness.records import Params


class Told(keras_tuner.HyperModel):
    """Builds and trains a configuration, and tells of its epochs."""

    def __init__(self, job: Job, params_of: Callable[[Any], Params]) -> None:
        """Nothing is built yet.

        Args:
            job: what is trained on.
            params_of: the configuration that hyper-parameters of KerasTuner's stand for.
        """
        super().__init__()
        self._job, self._params_of = job, params_of

    def build(self, hp: Any) -> Any:
        return compiled(self._params_of(hp), self._job)

    def fit(self, hp: Any, model: Any, *args: Any, callbacks: Any = (), **options: Any) -> Any:
        params = self._params_of(hp)
        tell("began", params)
        train, held = pipelines(params, self._job.dataset)
        # `initial_epoch` is where Hyperband takes a trial up again; Keras counts on from it.
        history = model.fit(
            train, *args, validation_data=held, callbacks=[*callbacks, Telling(params)], **options
        )
        tell("ended", params)
        return history
