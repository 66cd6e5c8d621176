"""A strict extractor for `.zip` and `.tar` archives of images.

Archives come from anywhere, so nothing in them is trusted: only regular files are written, only below
the target folder, and what they unpack to is counted while it is read, whatever their headers say.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeAlias

from harness.errors import DataError
from harness.paths import make_folder, sync_folder, sync_tree, temporary_beside

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
CHUNK = 1 << 20
DEEPEST = 32
"""Folders within folders."""
FOLDER_ICON = "Icon\r"
"""What macOS calls the picture of a folder; no image, and the only name with a control character in good
faith."""
_UTF8 = 0x800
"""The flag of a member of a `.zip` whose name is UTF-8."""

Opened: TypeAlias = IO[bytes]


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that an archive may unpack to."""

    files: int = 5_000_000
    total: int = 500 * 2**30
    """Bytes."""
    file: int = 2**30
    """Bytes of one file."""
    ratio: float = 200.0
    """Bytes unpacked for each byte of the archive, beyond the first `ratio_from`."""
    ratio_from: int = 64 * 2**20


CAPS = Caps()


def archive_stem(path: Path) -> str:
    """The name without its suffixes: `pets` for `pets.tar.gz`."""
    lower = path.name.lower()
    return path.name[: -max(len(suffix) for suffix in SUFFIXES if lower.endswith(suffix))] or "archive"


def unpack(archive: Path, folder: Path, caps: Caps = CAPS) -> None:
    """Unpack into `folder`, which must not exist; all or nothing.

    Raises:
        DataError: the archive is damaged, encrypted, too large, or holds anything but plain files.
    """
    make_folder(folder.parent)
    temporary = temporary_beside(folder)
    temporary.mkdir(mode=0o700)
    try:
        _unpack(archive, temporary, caps)
        sync_tree(temporary)
        temporary.replace(folder)
        sync_folder(folder.parent)
    except DataError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"The archive {archive} cannot be unpacked: {reason}.") from error
    except Exception as error:
        # Each kind of compression has errors of its own, and damaged headers raise yet others.
        raise DataError(f"The archive {archive} is damaged: {error or type(error).__name__}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack(archive: Path, folder: Path, caps: Caps) -> None:
    packed = archive.stat().st_size
    files, total = 0, 0
    with _members(archive, caps) as members:
        for name, stream in members:
            files += 1
            if files > caps.files:
                raise DataError(f"The archive {archive} has more than {caps.files:,} files.")
            if name.rpartition("/")[2] == FOLDER_ICON:
                continue
            target = folder / _safe(archive, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            written = 0
            # Never over something that is there: a name that comes twice is an attempt at something.
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                while chunk := stream.read(CHUNK):
                    written += len(chunk)
                    total += len(chunk)
                    if written > caps.file or total > caps.total:
                        raise DataError(f"The archive {archive} unpacks to too much: {name!r} is too large.")
                    if total > caps.ratio_from and total > caps.ratio * packed:
                        raise DataError(_too_dense(archive, caps))
                    out.write(chunk)


@contextmanager
def _members(archive: Path, caps: Caps) -> Iterator[Iterator[tuple[str, Opened]]]:
    """Names and contents of all regular files; anything else but folders is an error."""
    if archive.name.lower().endswith(".zip"):
        # Whoever stops half-way leaves no file open.
        with zipfile.ZipFile(archive) as file, closing(_zip_members(archive, file)) as members:
            yield members
    else:
        with _decompressed(archive) as stream:
            # As a stream, so that headers too are counted, and none is read twice or kept.
            counted = _Counted(archive, stream, caps)
            opened = tarfile.open(fileobj=counted, mode="r|")  # type: ignore[call-overload]  # noqa: SIM115
            with opened as tar, closing(_tar_members(archive, tar)) as members:
                yield members


def _decompressed(archive: Path) -> Opened:
    """The `.tar` in the archive, by what its first bytes say."""
    with archive.open("rb") as stream:
        start = stream.read(6)
    openers: dict[bytes, Callable[[Path], Any]] = {
        b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open
    }  # fmt: skip
    for magic, opener in openers.items():
        if start.startswith(magic):
            found: Opened = opener(archive)
            return found
    return archive.open("rb")


class _Counted:
    """What a `.tar` is read from; ends a bomb of headers, which are never written anywhere."""

    def __init__(self, archive: Path, stream: Opened, caps: Caps) -> None:
        self._archive, self._stream, self._caps = archive, stream, caps
        self._most = max(caps.ratio_from, caps.ratio * archive.stat().st_size)
        self._total = 0

    def read(self, size: int) -> bytes:
        """The next bytes of the `.tar`."""
        content = self._stream.read(size)
        self._total += len(content)
        if self._total > self._most:
            raise DataError(_too_dense(self._archive, self._caps))
        return content


def _too_dense(archive: Path, caps: Caps) -> str:
    return f"The archive {archive} unpacks to more than {caps.ratio:g} times its size, which images never do."


def _zip_members(archive: Path, opened: zipfile.ZipFile) -> Generator[tuple[str, Opened], None, None]:
    for member in opened.infolist():
        kind = (member.external_attr >> 16) & 0o170000
        if member.is_dir():
            continue
        if kind not in (0, 0o100000):
            raise DataError(f"The archive {archive} holds {member.filename!r}, which is not a plain file.")
        if member.flag_bits & 1:
            raise DataError(f"The archive {archive} is encrypted. Unpack it yourself and give the folder.")
        with opened.open(member) as stream:
            yield _name(member), stream


def _name(member: zipfile.ZipInfo) -> str:
    """The member's name; macOS writes UTF-8 without saying so, which reads as `cafeÌ\x81`."""
    if member.flag_bits & _UTF8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _tar_members(archive: Path, tar: tarfile.TarFile) -> Generator[tuple[str, Opened], None, None]:
    for member in tar:
        tar.members = []  # type: ignore[attr-defined] # it would keep every header
        if member.isdir():
            continue
        stream = tar.extractfile(member) if member.isreg() and not member.issparse() else None
        if stream is None:
            raise DataError(f"The archive {archive} holds {member.name!r}, which is not a plain file.")
        with stream:
            yield member.name, stream


def _safe(archive: Path, name: str) -> PurePosixPath:
    """The member's path, if it stays below the folder; raises DataError."""
    path = PurePosixPath(name)
    wrong = (
        not path.parts
        or path.is_absolute()
        or ".." in path.parts
        or len(path.parts) > DEEPEST
        or "\\" in name
        or (len(path.parts[0]) > 1 and path.parts[0][1] == ":")
        or not name.isprintable()
    )
    if wrong:
        raise DataError(f"The archive {archive} holds {name!r}, a name that cannot be trusted.")
    return path
