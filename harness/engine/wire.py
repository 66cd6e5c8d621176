"""What coordinator and worker say to each other, and how it is written: one JSON object a line.

The coordinator sends segments and questions, and asks to stop; the worker says that it is ready, answers,
and reports events.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TypeAlias

from harness.records import Answer, Question, Segment, WorkerEvent, event_from_dict, segment_from_dict


@dataclass(frozen=True, slots=True)
class StopSegment:
    """End the segment that runs at its next pulse."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker waits for its first segment."""


Request: TypeAlias = Segment | Question | StopSegment
"""What a worker is told."""
Report: TypeAlias = Ready | Answer | WorkerEvent
"""What a worker says."""


def encode_request(request: Request) -> str:
    """A request as a line, with its end."""
    match request:
        case StopSegment():
            message: dict[str, object] = {"stop": True}
        case Question():
            message = {"question": asdict(request)}
        case Segment():
            message = {"segment": asdict(request)}
    return json.dumps(message) + "\n"


def decode_request(line: str) -> Request:
    """The request that `encode_request` wrote."""
    message = json.loads(line)
    if "stop" in message:
        return StopSegment()
    if "question" in message:
        return Question(**message["question"])
    return segment_from_dict(message["segment"])


def encode_report(report: Report) -> str:
    """A report as a line, with its end."""
    match report:
        case Ready():
            message: dict[str, object] = {"ready": True}
        case Answer():
            message = {"answer": asdict(report)}
        case _:
            message = {"event": asdict(report)}
    return json.dumps(message) + "\n"


def decode_report(line: str | bytes) -> Report:
    """The report that `encode_report` wrote."""
    message = json.loads(line)
    if "ready" in message:
        return Ready()
    if "answer" in message:
        return Answer(**message["answer"])
    return event_from_dict(message["event"])  # type: ignore[return-value]  # workers send WorkerEvents only
