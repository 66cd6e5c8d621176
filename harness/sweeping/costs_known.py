"""What is known of a configuration's costs before it is trained; what is unknown is None."""

from __future__ import annotations

from typing import Protocol

from harness.records import Params


class KnownCosts(Protocol):
    """What training a configuration costs, as far as it is known; asking is cheap."""

    def seconds_to(self, params: Params, start: int, stop: int) -> float | None:
        """Seconds of training a complete configuration from the epoch `start` to the epoch `stop`."""

    def memory_bytes(self, params: Params) -> float | None:
        """The least memory of a worker, in bytes, with which a complete configuration can be trained."""


class NothingKnown:
    """Costs that nobody knows."""

    def seconds_to(self, params: Params, start: int, stop: int) -> float | None:
        """None."""
        return None

    def memory_bytes(self, params: Params) -> float | None:
        """None."""
        return None
