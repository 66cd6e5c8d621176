"""Files of weights that Keras publishes, in Keras's own cache.

Keras's `get_file` is not used: where the cache cannot be written it takes a temporary folder without a word,
it downloads a file with a wrong hash again and again, and it prints to standard output.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from harness.errors import PretrainedError
from harness.paths import sha256_of, write_file

PUBLISHED = "https://storage.googleapis.com/tensorflow/keras-applications"
PATIENCE = 15
"""Seconds without an answer after which there is no network."""
_BLOCK = 1 << 20
_ALGORITHMS = {32: "MD5", 64: "SHA-256"}
"""By the number of hex digits."""


@dataclass(frozen=True, slots=True)
class KerasFile:
    """A file that Keras publishes."""

    folder: str
    """Where it is published, under `PUBLISHED`."""
    name: str
    digest: str = ""
    """MD5 or SHA-256 in hex, as Keras gives it; empty: Keras gives none."""

    @property
    def place(self) -> Path:
        """Where Keras keeps it on this machine."""
        return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models" / self.name

    def checked(self) -> Path:
        """Where the file is. It is downloaded if it is not there.

        Raises:
            PretrainedError: it cannot be downloaded or written, or is not the one that Keras publishes.
        """
        if not self.place.is_file():
            try:
                self.place.parent.mkdir(parents=True, exist_ok=True)
                write_file(self.place, self._download)
            except OSError as error:
                raise PretrainedError(
                    f"Keras's cache, {self.place.parent}, cannot be written ({error.strerror}) to download "
                    f"{self.name}: set KERAS_HOME to a folder that can be written. {self._offline()}"
                ) from error
        problem = self._problem(self.place)
        if problem:
            raise PretrainedError(
                f"The weights in {self.place} {problem}: delete the file, and it is downloaded again. "
                f"{self._offline()}"
            )
        return self.place

    def sha256(self) -> str:
        """The file's SHA-256 in hex, of the file as it is if Keras gives no digest.

        Raises:
            PretrainedError: as `checked`.
        """
        return sha256_of(self.checked())

    def _problem(self, file: Path) -> str:
        """What is wrong with a file, or nothing."""
        algorithm = _ALGORITHMS.get(len(self.digest), "MD5")
        try:
            with file.open("rb") as stream:
                found = hashlib.file_digest(stream, algorithm.replace("-", "").lower()).hexdigest()
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        if found == self.digest or not self.digest:
            return ""
        return f"have the {algorithm} {found}, not {self.digest}"

    def _download(self, target: Path) -> None:
        with target.open("wb") as stream:
            for block in self._blocks():
                stream.write(block)
        problem = self._problem(target)
        if problem:
            raise PretrainedError(f"The weights that {self._address()} gives {problem}. {self._offline()}")

    def _blocks(self) -> Iterator[bytes]:
        """What comes over the network."""
        try:
            with urlopen(self._address(), timeout=PATIENCE) as answer:  # noqa: S310 - always https
                left = int(answer.headers["Content-Length"])
                while block := answer.read(_BLOCK):
                    left -= len(block)
                    yield block
            if left:
                raise ConnectionError(f"{left} bytes are missing")
        except (OSError, HTTPException, TypeError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(error, HTTPError):  # it holds the answer, and its connection
                reason = error
                error.close()
            raise PretrainedError(
                f"Weights cannot be downloaded from {self._address()} ({reason}). {self._offline()}"
            ) from error

    def _address(self) -> str:
        return f"{PUBLISHED}/{self.folder}/{self.name}"

    def _offline(self) -> str:
        """What can be done without a network."""
        known = f" ({_ALGORITHMS[len(self.digest)]} {self.digest})" if self.digest else ""
        return (
            f"Without a network, put that file{known} at {self.place}, or use `backbone: "
            "efficientnet_lite0`, whose weights come with a package."
        )
