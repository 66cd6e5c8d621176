"""An engine without processes."""

from __future__ import annotations

from harness.engine.inline import InlineEngine
from harness.engine.kind import EngineKind

KIND = EngineKind(
    about="Segments run one at a time in the coordinator's process.",
    build=lambda settings: InlineEngine(settings.workers, run=lambda *_: None),
    default_workers=lambda _: 1,
    processes=lambda _: [],
)
