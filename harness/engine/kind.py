"""How an engine is known: what it is, what makes it, and which of its processes run here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.engine.protocol import Engine
from harness.paths import StudyPaths


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine is made of."""

    study: StudyPaths
    workers: int
    worker_memory: float | None = None
    """GiB beyond which a worker is ended and its trial counts as out of memory; None: never."""
    data_memory: float | None = None
    """GiB of images that may be resident in each worker; None for a share of the memory that there is."""
    threads: int | None = None
    """Threads that compute one operation in each worker; None for its share of the cores."""


@dataclass(frozen=True, slots=True)
class EngineKind:
    """One kind of engine."""

    about: str
    """A sentence for people."""
    build: Callable[[EngineSettings], Engine]
    """Makes an engine that has not been started: no worker exists yet."""
    default_workers: Callable[[int], int]
    """How many workers are sensible for so many trials, at least one."""
    processes: Callable[[StudyPaths], list[int]]
    """Process ids of a study's workers on this machine, whoever started them."""
