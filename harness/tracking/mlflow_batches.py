"""What is sent to MLflow's runs in batches: metrics that wait for the end of a batch, tags and parameters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.tracking.mlflow_session import Session

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

MAX_METRICS = 900
"""Metrics in one request; MLflow takes 1,000 entries of all kinds together."""
MAX_ENTRIES = 100
"""Tags, or parameters, in one request; MLflow takes no more."""
MAX_TAG, MAX_PARAM = 5000, 6000
"""Characters of a value; MLflow takes no more."""


class Batches:
    """Sends what belongs to the runs of one study."""

    def __init__(self, client: MlflowClient, session: Session) -> None:
        self._client = client
        self._session = session

    def queue(
        self, run: str, metrics: dict[str, float], time: int, step: int, model_id: str | None = None
    ) -> None:
        """Have metrics wait until `flush`; one that is not finite becomes a tag at once.

        Args:
            run: the id of the run.
            metrics: values by name.
            time: milliseconds since 1970.
            step: the epoch; for the study's own run, how many trials have ended.
            model_id: of the model that they are measured of, to which MLflow links them.
        """
        from mlflow.entities import Metric

        for name, value in metrics.items():
            if math.isfinite(value):
                waiting = self._session.metrics.setdefault(run, [])
                waiting.append(Metric(name, value, time, step, model_id=model_id))
            else:
                # MLflow would store 1.8e308 for infinity; the number itself stays in the event log.
                self._client.set_tag(run, f"harness.non_finite.{name}", f"{value} at step {step}")

    def flush(self) -> None:
        """Send the metrics that wait."""
        for run, waiting in self._session.metrics.items():
            metrics = self._missing(run, waiting)
            for start in range(0, len(metrics), MAX_METRICS):
                self._client.log_batch(run, metrics=metrics[start : start + MAX_METRICS], synchronous=True)
        self._session.metrics.clear()

    def _missing(self, run: str, metrics: list[Metric]) -> list[Metric]:
        """The metrics that the store lacks: a store of files would take one twice, unlike a database."""
        points = self._session.points
        if points is None:
            return metrics
        if run not in points:
            names = self._client.get_run(run).data.metrics
            histories = [self._client.get_metric_history(run, name) for name in names]
            points[run] = {_point(metric) for history in histories for metric in history}
        missing = [metric for metric in metrics if _point(metric) not in points[run]]
        points[run] |= {_point(metric) for metric in missing}
        return missing

    def send(
        self, run: str, *, params: dict[str, str] | None = None, tags: dict[str, str] | None = None
    ) -> None:
        """Write parameters and tags at once; values that are too long for MLflow are cut."""
        from mlflow.entities import Param, RunTag

        given: list[Param] = [Param(name, value[:MAX_PARAM]) for name, value in (params or {}).items()]
        named: list[RunTag] = [RunTag(name, value[:MAX_TAG]) for name, value in (tags or {}).items()]
        for start in range(0, max(len(given), len(named)), MAX_ENTRIES):
            end = start + MAX_ENTRIES
            self._client.log_batch(run, params=given[start:end], tags=named[start:end], synchronous=True)


def _point(metric: Metric) -> tuple[str, int, int, float]:
    return metric.key, metric.step, metric.timestamp, metric.value
