"""What a server takes on at most."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond these a request is refused, with a sentence and a status that says why."""

    body_bytes: int = 16 * MEBIBYTE
    """Of one request's body: 413."""
    held_bytes: int = 256 * MEBIBYTE
    """Of the bodies of all requests that are being received or answered: 429."""
    requests: int = 256
    """That are being answered at once: 429."""
    images: int = 128
    """In one request: 400. Of clips, each frame counts."""
    waiting_bytes: int = 256 * MEBIBYTE
    """Of the pixels that wait for the model, as float32: 429."""
    connections: int = 1000
    """Open at once; further ones are closed."""
    head_seconds: float = 10.0
    """From the opening of a connection, or its last answer, to the end of a request's head."""
    body_seconds: float = 20.0
    """For receiving a body: 408."""
    answer_seconds: float = 60.0
    """For an answer of the model: 503."""
    stop_seconds: int = 30
    """For answering what is in flight when the server stops."""
