"""What the coordinator gives to nodes that do not see its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any, TypeAlias

from harness.engine.ray_actor import DATA
from harness.engine.ray_connection import ray_module
from harness.engine.ray_files import DataKey, publish
from harness.errors import EngineError
from harness.records import Segment
from harness.study_files import study_files

Listed: TypeAlias = list[tuple[str, str, list[Any]]]
"""Name, SHA-256 and chunks of every file of prepared data."""


class Supply:
    """Puts prepared data into Ray's object store once, and sends checkpoints to where they are needed."""

    def __init__(self, note: Callable[[str], None]) -> None:
        """Nothing is in the object store yet.

        Args:
            note: told where data goes.
        """
        self._note = note
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="supply")
        self._published: dict[DataKey, Future[Listed]] = {}
        self._error: BaseException | None = None

    def give(self, actor: Any, where: str, segment: Segment, key: DataKey, want: str) -> None:
        """Give an actor what its segment waits for.

        Args:
            actor: its handle.
            where: its node, for people.
            segment: that it was given last.
            key: of the data.
            want: `DATA`, or the name of a file of the study.
        """
        if want == DATA:
            if key not in self._published:
                self._published[key] = self._thread.submit(_published, key)
            self._note(f"The data set goes to {where} through Ray.")
            self._published[key].add_done_callback(partial(self._send, actor, key))
            return
        try:
            content = study_files(segment.study_folder).read(want)
        except OSError:
            content = b""  # the worker finds that it is missing, and says so
        actor.supply_files.remote({want: content})

    def check(self) -> None:
        """Raises EngineError if the data cannot be sent."""
        if self._error is not None:
            raise EngineError(f"The data set cannot be sent through Ray: {self._error}.") from self._error

    def close(self) -> None:
        """Begin nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _send(self, actor: Any, key: DataKey, published: Future[Listed]) -> None:
        if published.cancelled():
            return
        self._error = published.exception()
        if self._error is None:
            actor.supply_data.remote(json.dumps(asdict(key)), published.result())


def _published(key: DataKey) -> Listed:
    return [(one.name, one.sha256, list(one.chunks)) for one in publish(key, ray_module().put)]
