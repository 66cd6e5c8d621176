"""The files of a study in an object store: `s3://bucket/prefix` or `gs://bucket/prefix`.

Arrow speaks both protocols, and MLflow has brought it along, so that nothing else need be installed. Keys,
region and address come from the environment, as the stores' own tools read them (`AWS_ACCESS_KEY_ID`,
`AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`, …). Of what the stores' libraries say of failures,
nothing is passed on but the error code.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.errors import UnreachableError
from harness.paths.study import PROBE
from harness.study_files.keeper import Stamp

_BUCKET = re.compile(r"(s3|gs)://[a-z0-9][a-z0-9._-]+(/[A-Za-z0-9_=][A-Za-z0-9._=-]*)*")
_GIVE_UP_AFTER = "retry_limit_seconds=10"
"""What Google's library is told; Amazon's tries three times by itself."""
_CODES = (re.compile(r"AWS Error (\w+) during"), re.compile(r"Status\((\w+)"))
_REASONS = {
    "NETWORK_CONNECTION": "it cannot be connected to",
    "UNAVAILABLE": "it cannot be connected to",
    "REQUEST_TIMEOUT": "it does not answer in time",
    "DEADLINE_EXCEEDED": "it does not answer in time",
    "NO_SUCH_BUCKET": "there is no such bucket",
    "ACCESS_DENIED": "access is denied to the keys in the environment",
    "PERMISSION_DENIED": "access is denied to the keys in the environment",
    "INVALID_ACCESS_KEY_ID": "the access key in the environment is unknown to it",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key in the environment is wrong",
}


def is_bucket(place: str | Path) -> bool:
    """Whether a place is one in an object store, and not a local folder."""
    return isinstance(place, str) and place.startswith(("s3://", "gs://"))


def is_bucket_url(text: str) -> bool:
    """Whether this is a bucket with a prefix, or without, and nothing else: no keys, no options."""
    return _BUCKET.fullmatch(text) is not None


class BucketFiles:
    """The objects under one prefix of a bucket. An object is there as a whole or not at all."""

    def __init__(self, place: str) -> None:
        """Connect to nothing yet.

        Args:
            place: `s3://bucket/prefix` or `gs://bucket/prefix`.
        """
        self._place = place
        self._written: dict[str, Stamp] = {}
        """What this object has written, of which it knows the content."""

    def write(self, name: str, fill: Callable[[Path], object]) -> None:
        """Write a local file and upload it."""
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / name.rpartition("/")[2]
            fill(local)
            content = local.read_bytes()
        self._written.pop(name, None)
        with self._asked() as (store, path):
            stream = store.open_output_stream(f"{path}/{name}", buffer_size=None)
            stream.write(content)
            stream.close()  # not by `with`, which would make an object of what an exception has cut off
        self._written[name] = Stamp(hashlib.sha256(content).hexdigest(), len(content))

    def stamp(self, name: str) -> Stamp:
        """What was written, or what can be read."""
        if name in self._written:
            return self._written[name]
        content = self.read(name)
        return Stamp(hashlib.sha256(content).hexdigest(), len(content))

    def read(self, name: str) -> bytes:
        """Download the object."""
        with self._asked() as (store, path), store.open_input_stream(f"{path}/{name}") as stream:
            return bytes(stream.read())

    def remove(self, name: str) -> None:
        """Remove the object."""
        self._written.pop(name, None)
        with suppress(FileNotFoundError), self._asked() as (store, path):
            store.delete_file(f"{path}/{name}")

    def names(self, folder: str, pattern: str) -> list[str]:
        """List the objects with the folder's prefix."""
        return [name for name in self._listed(folder) if fnmatchcase(name.rpartition("/")[2], pattern)]

    def names_below(self, folder: str, pattern: str) -> list[str]:
        """The names of all objects below a folder whose last parts match a pattern, sorted."""
        listed = self._listed(folder, recursive=True)
        return [name for name in listed if fnmatchcase(name.rpartition("/")[2], pattern)]

    def remove_unfinished(self, folder: str) -> None:
        """An object is never unfinished."""

    def shown(self, name: str) -> str:
        """The object's URL."""
        return f"{self._place}/{name}"

    def check(self) -> None:
        """Write an object, read it, and remove it.

        Raises:
            UnreachableError: that cannot be done.
        """
        self.write(PROBE, lambda local: local.write_bytes(b"harness"))
        with suppress(FileNotFoundError):  # another session may be checking, too
            self.read(PROBE)
        self.remove(PROBE)

    def _listed(self, folder: str, *, recursive: bool = False) -> list[str]:
        from pyarrow.fs import FileSelector, FileType

        with self._asked() as (store, path):
            wanted = FileSelector(f"{path}/{folder}", recursive=recursive, allow_not_found=True)
            found = [one.path for one in store.get_file_info(wanted) if one.type == FileType.File]
        return sorted(name.removeprefix(f"{path}/") for name in found)

    @contextmanager
    def _asked(self) -> Iterator[tuple[Any, str]]:
        """The store, and the path of the place in it; every failure but that something is not there is told
        as UnreachableError."""
        try:
            yield _opened(self._place)
        except FileNotFoundError:
            raise
        except OSError as error:
            # Without what the library says, which could hold more than is meant for a log.
            raise UnreachableError(f"{self._place} cannot be reached: {_reason(error)}.") from None


@lru_cache(maxsize=8)
def _opened(place: str) -> tuple[Any, str]:
    """Arrow's file system, and the path in it; it keeps its connections."""
    from pyarrow.fs import FileSystem

    opened: tuple[Any, str] = FileSystem.from_uri(
        f"{place}?{_GIVE_UP_AFTER}" if place.startswith("gs:") else place
    )
    return opened


def _reason(error: OSError) -> str:
    """Why a store cannot be used, in words that hold nothing but the error's code."""
    found = next((match[1] for code in _CODES if (match := code.search(str(error)))), None)
    if found is None:
        return f"its library reports a {type(error).__name__}"
    return _REASONS.get(found, f"it answers {found}")
