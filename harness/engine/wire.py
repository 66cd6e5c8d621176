"""What coordinator and worker say to each other, and how it is written: one JSON object a line.

The coordinator sends segments, and asks to stop; the worker says that it is ready, and reports events.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TypeAlias

from harness.records import Segment, WorkerEvent, event_from_dict, segment_from_dict


@dataclass(frozen=True, slots=True)
class StopSegment:
    """End the segment that runs after its epoch."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker waits for its first segment."""


Request: TypeAlias = Segment | StopSegment
"""What a worker is told."""
Report: TypeAlias = Ready | WorkerEvent
"""What a worker says."""


def encode_request(request: Request) -> str:
    """A request as a line, with its end."""
    message = {"stop": True} if isinstance(request, StopSegment) else {"segment": asdict(request)}
    return json.dumps(message) + "\n"


def decode_request(line: str) -> Request:
    """The request that `encode_request` wrote."""
    message = json.loads(line)
    return StopSegment() if "stop" in message else segment_from_dict(message["segment"])


def encode_report(report: Report) -> str:
    """A report as a line, with its end."""
    message = {"ready": True} if isinstance(report, Ready) else {"event": asdict(report)}
    return json.dumps(message) + "\n"


def decode_report(line: str | bytes) -> Report:
    """The report that `encode_report` wrote."""
    message = json.loads(line)
    # Only WorkerEvents are ever sent by a worker.
    return Ready() if "ready" in message else event_from_dict(message["event"])  # type: ignore[return-value]
