"""What a server counts and measures, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Telemetry:
    """A server's own metrics; threads may share one."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._requests = Counter(
            "harness_serve_requests", "Answered requests.", ("path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "harness_serve_request_seconds",
            "From the head of a request to its answer.",
            ("path",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "harness_serve_batch_images",
            "Images in a batch.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self._registry,
        )
        self._model_seconds = Histogram(
            "harness_serve_model_seconds",
            "That the model took for a batch.",
            buckets=SECONDS,
            registry=self._registry,
        )

    def answered(self, path: str, status: int, seconds: float) -> None:
        """A request was answered.

        Args:
            path: one of few; what clients make up would fill the memory.
            status: of the answer.
            seconds: that it took.
        """
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def ran(self, images: int, seconds: float) -> None:
        """The model ran on a batch."""
        self._batches.observe(images)
        self._model_seconds.observe(seconds)

    def watch(self, name: str, about: str, now: Callable[[], float]) -> None:
        """Add a value that is looked up whenever somebody asks."""
        Gauge(f"harness_serve_{name}", about, registry=self._registry).set_function(now)

    def text(self) -> bytes:
        """Everything, in Prometheus's format."""
        return generate_latest(self._registry)
