"""How a request is refused: a status, a sentence, and headers; never a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RETRY = {"retry-after": "1"}
CLOSE = {"connection": "close"}


class Refusal(Exception):  # noqa: N818 - it is an answer
    """A request that is not answered as asked."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        """What to answer.

        Args:
            status: the HTTP status, 400 to 599.
            sentence: what was wrong, where, and what to do; it goes to the client.
            headers: further headers of the answer.
        """
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = dict(headers or {})


def as_error(sentence: str) -> dict[str, Any]:
    """The body of an answer to what went wrong, as TensorFlow Serving has it."""
    return {"error": sentence}
