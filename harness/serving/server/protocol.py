"""uvicorn's HTTP/1.1, for clients that do not mean well: connections are few and do not wait for ever."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from harness.serving.server.limits import Limits


def patient_for(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol class of a server with these limits."""

    class LimitedProtocol(H11Protocol):
        """Closes connections beyond the most, and those on which the head of a request takes too long."""

        _overdue: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.abort()
            else:
                self._mind_the_time()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._mind_the_time()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._mind_the_time()

        def connection_lost(self, exc: Exception | None) -> None:
            self._no_hurry()
            super().connection_lost(exc)

        def _mind_the_time(self) -> None:
            """Between requests the clock runs: also while a body that nobody reads keeps coming."""
            if self.cycle is not None and not self.cycle.response_complete:
                self._no_hurry()
            elif self._overdue is None and not self.transport.is_closing():
                self._overdue = self.loop.call_later(limits.head_seconds, self.timeout_keep_alive_handler)

        def _no_hurry(self) -> None:
            if self._overdue is not None:
                self._overdue.cancel()
                self._overdue = None

    return LimitedProtocol
