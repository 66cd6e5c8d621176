"""The checksums of a bundle: a line for each file, as `sha256sum -c` reads them."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from harness.errors import ExportError
from harness.paths import sha256_of
from harness.paths.bundle import CHECKSUMS

_LINE = re.compile(r"([0-9a-fA-F]{64})  (.+)")


def write_checksums(folder: Path) -> None:
    """Write the checksums of every file in a folder, which has none yet."""
    every = sorted(file for file in folder.rglob("*") if file.is_file())
    lines = [f"{sha256_of(file)}  {file.relative_to(folder).as_posix()}\n" for file in every]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def verify_bundle(folder: Path) -> list[str]:
    """Check the files of an exported bundle against its checksums, as docs/export.md offers it to scripts.

    Args:
        folder: the bundle's.

    Returns:
        A few words about each file that is missing, is not listed or was changed, about each link and other
        thing that is no plain file, and about each line of the checksums that is none or leads out of the
        folder; empty if all is well.

    Raises:
        ExportError: `folder` is not a bundle.
    """
    sums = folder / CHECKSUMS
    try:
        if sums.is_symlink():
            return [f"{CHECKSUMS} is a link"]
        lines = sums.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{folder} is not an exported bundle: {sums} cannot be read.") from error
    listed, problems = _listed(lines)
    there, strange = _plain_files(folder)
    problems += strange
    problems += [f"{name} is missing" for name in sorted(listed.keys() - there)]
    problems += [f"{name} is not listed" for name in sorted(there - listed.keys() - {CHECKSUMS})]
    for name in sorted(listed.keys() & there):
        if sha256_of(folder / name) != listed[name]:
            problems.append(f"{name} was changed")
    return problems


def _listed(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    """Checksums by name, and what is wrong with other lines."""
    listed, problems = {}, []
    for number, line in enumerate(lines, start=1):
        found = _LINE.fullmatch(line)
        if found is None:
            problems.append(f"line {number} of {CHECKSUMS} is not a checksum and a name")
            continue
        digest, name = found.groups()
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            problems.append(f"{name!r} in {CHECKSUMS} leads out of the folder")
        elif name in listed:
            problems.append(f"{name} is listed twice")
        else:
            listed[name] = digest.lower()
    return listed, problems


def _plain_files(folder: Path) -> tuple[set[str], list[str]]:
    """Names of the plain files below a folder, and a few words about everything else but folders."""
    files, strange = set(), []
    for here, folders, names in os.walk(folder):
        for name in sorted([*folders, *names]):
            path = Path(here, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():  # it could lead anywhere, now or later
                strange.append(f"{relative} is a link")
            elif path.is_file():
                files.add(relative)
            elif not path.is_dir():
                strange.append(f"{relative} is no plain file")
    return files, strange
