"""The checksums of a bundle: a line for each file, as `sha256sum -c` reads them."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ExportError
from harness.paths import sha256_of
from harness.paths.bundle import CHECKSUMS


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
        A few words about each file that is missing, is not listed or was changed; empty if there is none.

    Raises:
        ExportError: `folder` is not a bundle.
    """
    sums = folder / CHECKSUMS
    try:
        lines = sums.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ExportError(f"{folder} is not an exported bundle: {sums} cannot be read.") from error
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    problems = [f"{name} is missing" for name in sorted(listed.keys() - there)]
    problems += [f"{name} is not listed" for name in sorted(there - listed.keys() - {CHECKSUMS})]
    for name in sorted(listed.keys() & there):
        if sha256_of(folder / name) != listed[name]:
            problems.append(f"{name} was changed")
    return problems
