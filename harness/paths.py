"""Every file and folder name, and the only ways to write a file that must survive a crash."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote

import platformdirs

from harness.errors import HarnessError

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600
SQLITE = "sqlite:///"
T = TypeVar("T")


def home() -> Path:
    """Where studies live: `HARNESS_HOME`, else `.harness` in the working directory."""
    return Path(os.environ.get("HARNESS_HOME") or ".harness").absolute()


def cache() -> Path:
    """Where prepared data lives: `HARNESS_CACHE`, else the user's cache folder."""
    named = os.environ.get("HARNESS_CACHE")
    return Path(named).absolute() if named else platformdirs.user_cache_path("harness")


@dataclass(frozen=True, slots=True)
class StudyPaths:
    """The files of one study."""

    folder: Path

    @classmethod
    def of(cls, name: str) -> StudyPaths:
        """The paths of the study called `name` under `home()`; nothing is created."""
        return cls(home() / "studies" / name)

    @property
    def log(self) -> Path:
        """The event log, one JSON record a line."""
        return self.folder / "events.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the study's coordinator while it runs."""
        return self.folder / "study.lock"

    @property
    def tracking_cursor(self) -> Path:
        """How far MLflow has been brought up to date."""
        return self.folder / "tracking.json"

    @property
    def reference(self) -> Path:
        """The few images with which copies of the study's models are compared."""
        return self.folder / "reference"

    def trial(self, number: int) -> Path:
        """Checkpoints and model of one trial."""
        return self.folder / "trials" / f"{number:05d}"

    def worker_log(self, index: int) -> Path:
        """What a worker process printed."""
        return self.folder / "workers" / f"worker-{index}.log"


def study_names() -> list[str]:
    """The studies under `home()`, newest activity last."""
    logs = (home() / "studies").glob("*/events.jsonl")
    return [log.parent.name for log in sorted(logs, key=lambda log: log.stat().st_mtime)]


def optuna_storage() -> str:
    """The Optuna storage URL: `HARNESS_STORAGE`, else SQLite under `home()`."""
    return os.environ.get("HARNESS_STORAGE") or sqlite_uri(home() / "optuna.db")


def tracking_uri() -> str:
    """The MLflow store: `MLFLOW_TRACKING_URI`, else `mlflow.db` in the working directory."""
    file = Path("mlflow.db").absolute()
    # MLflow creates the parent folder of the path as it stands in the URI, quoted characters and all.
    plain = sqlite_uri(file) == f"{SQLITE}{file}"
    return os.environ.get("MLFLOW_TRACKING_URI") or (sqlite_uri(file) if plain else f"{SQLITE}{file.name}")


def is_sqlite(uri: str) -> bool:
    """Whether a database's URI names SQLite, with the driver that comes with Python."""
    return uri.partition("://")[0] in ("sqlite", "sqlite+pysqlite")


def sqlite_uri(file: Path) -> str:
    """The URI of an SQLite file, with what has a meaning in URIs (or in Optuna's templates) quoted."""
    return SQLITE + "".join(quote(character) if character in "%?{}" else character for character in str(file))


def sqlite_file(uri: str) -> Path | None:
    """The file that an SQLite URI names; None for a database in memory, with options, or of another kind."""
    name = uri.partition("://")[2].removeprefix("/")
    if not is_sqlite(uri) or "?" in name or name in ("", ":memory:"):
        return None
    return Path(unquote(name))


def make_folder(folder: Path) -> Path:
    """Create `folder` (private to the user) and its parents.

    Raises:
        OSError: there is no room; the caller may wait for it.
        HarnessError: it cannot be done for another reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    except OSError as error:
        if is_full(error):
            raise
        raise HarnessError(
            f"The folder {folder} cannot be created ({error.strerror}). "
            "Check its permissions, or work in another folder."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise HarnessError(
            f"The folder {folder} cannot be written to. Check its permissions, or work in another folder."
        )
    return folder


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(file: Path) -> None:
    """Make the content of `file` durable."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_beside(target: Path) -> Path:
    """A new name in the same folder, with the same suffix, that marks unfinished work."""
    return target.with_name(f".tmp-{uuid.uuid4().hex[:8]}-{target.name}")


def write_file(target: Path, write: Callable[[Path], object]) -> None:
    """Let `write(temporary)` make a file, then fsync it and rename it to `target`, all or nothing."""
    temporary = temporary_beside(target)
    try:
        write(temporary)
        sync_file(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def is_full(error: OSError) -> bool:
    """Whether the error says that there is no room: a full disk, a used-up quota, a file-size limit."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def when_there_is_room(action: Callable[[], T], wait: Callable[[OSError], object]) -> T:
    """Call `action`, again and again while the disk is full, with `wait(error)` in between.

    `action` must leave things as they were when it fails.
    """
    while True:
        try:
            return action()
        except OSError as error:
            if not is_full(error):
                raise
            wait(error)


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8, all or nothing."""
    write_file(target, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def fill_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Make `folder`, let `write(folder)` fill it, then fsync every file.

    `folder` must not exist. On an error it is removed and the error raised.
    """
    folder.mkdir(parents=True)
    try:
        write(folder)
        for entry in sorted(folder.rglob("*")):
            if entry.is_file():
                sync_file(entry)
            else:
                sync_folder(entry)
        sync_folder(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_folder(target: Path, write: Callable[[Path], object]) -> None:
    """Let `write(temporary)` fill a folder and rename it to `target`, all or nothing.

    `target` must not exist. On an error the temporary folder is removed and the error raised.
    """
    temporary = temporary_beside(target)
    fill_folder(temporary, write)
    try:
        temporary.replace(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(target.parent)


def sha256_of(file: Path) -> str:
    """The file's SHA-256 as hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
