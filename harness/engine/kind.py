"""How an engine is known: what it is, what makes it, and which of its processes run here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.engine.memory import training_memory
from harness.engine.protocol import Engine
from harness.gpus import visible_gpus
from harness.machine import usable_cores
from harness.paths import StudyPaths


@dataclass(frozen=True, slots=True)
class Resources:
    """What each worker asks a cluster for."""

    cpus: float = 1.0
    """Cores; a worker computes with as many threads, at least one."""
    gpus: float = 0.0
    """GPUs; with a half, two workers share one."""
    memory: float | None = None
    """GiB that must be free on the node; None: that does not matter."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which engine a session uses, and where."""

    name: str = "local"
    address: str | None = None
    """Of the cluster, for an engine that has one; None: it uses this machine."""
    files: str | None = None
    """The URL of a bucket, with a prefix or without, for the files of studies that begin; None: workers use
    the study's folder."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine is made of."""

    study: StudyPaths
    workers: int
    """The most that there may be."""
    worker_memory: float | None = None
    """GiB beyond which a worker is ended and its trial counts as out of memory; None: never."""
    data_memory: float | None = None
    """GiB of images that may be resident in each worker; None for a share of the memory that there is."""
    threads: int | None = None
    """Threads that compute one operation in each worker; None for its share of the cores."""
    resources: Resources = Resources()
    """What each worker asks a cluster for."""
    address: str | None = None
    """Of the cluster; None: this machine."""
    files: str = ""
    """The URL of the study's files, if workers do not keep them in its folder."""
    model: str | None = None
    """A network of the user's own, `package.module:function`, if there is one."""
    note: Callable[[str], None] = lambda _: None
    """Told what a person should know."""
    at_first: int | None = None
    """How many workers start before it is known how much of a GPU's memory each needs; None: all of them."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker may use of its machine."""

    threads: int
    """That compute one operation."""
    memory: int
    """Bytes that training may take."""


def equal_share(settings: EngineSettings) -> Share:
    """What a worker has where all of them share this machine evenly; of a GPU what it may have at first."""
    number = settings.at_first or settings.workers
    memory = training_memory(number, len(visible_gpus()), settings.worker_memory)
    return Share(settings.threads or max(1, usable_cores() // settings.workers), memory)


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
    share: Callable[[EngineSettings], Share] = equal_share
    """What each worker has, by which configurations are judged too large, and what is recorded of it."""
    has_address: bool = False
    """Whether it can be told where the machines of its workers are reached."""
