"""Engines start workers and carry segments to them: a file and a line here for each."""

from __future__ import annotations

from harness.engine.kind import EngineKind, EngineSettings
from harness.engine.protocol import Engine
from harness.paths import StudyPaths
from harness.registry import registered

DEFAULT_ENGINE = "local"
ENGINES: dict[str, EngineKind] = registered(
    __name__,
    {
        "local": "local:KIND",
        "ray": "ray_engine:KIND",
    },
)
"""Engines by name."""


def make_engine(settings: EngineSettings, name: str = DEFAULT_ENGINE) -> Engine:
    """An engine that has not been started."""
    engine = ENGINES[name].build(settings)
    if not settings.files:
        return engine
    from harness.engine.fetching import FetchingEngine

    return FetchingEngine(engine, settings.study, settings.files)


def default_workers(trials: int, name: str = DEFAULT_ENGINE) -> int:
    """How many workers are sensible for so many trials, unless somebody says otherwise."""
    return ENGINES[name].default_workers(trials)


def workers_of(study: StudyPaths) -> list[int]:
    """Process ids of a study's workers on this machine, whatever engine started them."""
    return [process for kind in ENGINES.values() for process in kind.processes(study)]
