"""A bundle as one `.zip` file, and back again."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path

from harness.data.archive import unpack
from harness.deploy.checksums import verify_bundle
from harness.errors import DataError, ExportError
from harness.paths import write_file

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The time that all files in an archive have, so that the same bundle gives the same archive."""


def write_archive(folder: Path, archive: Path) -> None:
    """Pack a bundle, and unpack it again to see that everything is in it; all or nothing.

    Raises:
        ExportError: what was packed is not what is in the folder.
        OSError: it cannot be written.
    """

    def write(file: Path) -> None:
        _pack(folder, file)
        with tempfile.TemporaryDirectory(prefix="harness-") as elsewhere:
            unpack_bundle(file, Path(elsewhere, "bundle"))

    write_file(archive, write)


def unpack_bundle(archive: Path, folder: Path) -> None:
    """Unpack a bundle that `write_archive` has packed; all or nothing.

    Only plain files are written, and only below the folder: names such as `../x` or `/x`, links, and archives
    that unpack to far more than they are, are refused.

    Args:
        archive: the `.zip`.
        folder: to be made; it must not exist.

    Raises:
        ExportError: the archive is damaged, cannot be trusted, or is not that of a whole bundle.
    """
    try:
        unpack(archive, folder)
    except DataError as error:
        raise ExportError(str(error)) from error
    try:
        problems = verify_bundle(folder)
    except ExportError as error:
        shutil.rmtree(folder)
        raise ExportError(f"The archive {archive} does not hold an exported bundle.") from error
    if problems:
        shutil.rmtree(folder)
        raise ExportError(f"The archive {archive} does not hold a whole bundle: {'; '.join(problems)}.")


def _pack(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                name = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EARLIEST)
                name.external_attr = 0o100644 << 16
                name.compress_type = zipfile.ZIP_DEFLATED
                name.file_size = file.stat().st_size
                with file.open("rb") as content, packed.open(name, "w") as member:
                    shutil.copyfileobj(content, member)
