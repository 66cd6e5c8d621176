"""A few of a data set's own files, of every kind, kept with what was made of them.

An exported model that reads image files is tried on them: on the files themselves, since files made anew
from decoded pixels have lost just what makes files differ (orientation, transparency, palettes, depth).

<folder>/index.json     how many files of each kind there are, and which ones are kept
         000.jpg …      the files
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.file_kinds import format_of, kind_of_file
from harness.data.source import ImageFile
from harness.paths import write_folder
from harness.paths.prepared import CONTENTS, ORIGINALS
from harness.records import Progress

OF_A_KIND = 2
MOST_BYTES = 20 * 2**20
"""The most that all kept files may take together."""
LABEL = "looking at files"


@dataclass(frozen=True, slots=True)
class Original:
    """One of the data set's files."""

    name: str
    """The file's path relative to the source, with `/`."""
    kind: str
    """The kind of file, as `harness.data.file_kinds` words it."""
    content: bytes


@dataclass(frozen=True, slots=True)
class Originals:
    """What is known of a data set's files."""

    counts: dict[str, int]
    """Readable files by kind."""
    files: tuple[Original, ...]
    """At most two files of each kind."""


def keep_originals(folder: Path, files: Sequence[ImageFile], kinds: Sequence[str]) -> None:
    """Make `folder` with the chosen files.

    Args:
        folder: must not exist.
        files: of the data set; those for testing are only counted.
        kinds: of each of them; empty for those that could not be read.
    """
    counts = Counter(kind for kind in kinds if kind)
    candidates: dict[str, list[ImageFile]] = {kind: [] for kind in counts}
    for file, kind in zip(files, kinds, strict=True):
        if kind and file.pool != "test":
            candidates[kind].append(file)

    def write(fresh: Path) -> None:
        kept = []
        for number, (kind, file) in enumerate(_chosen(counts, candidates)):
            try:
                content = file.path.read_bytes()
            except OSError:  # it has gone since it was decoded
                continue
            name = f"{number:03d}.{format_of(kind).lower()}"
            (fresh / name).write_bytes(content)
            kept.append(
                {
                    "file": name,
                    "kind": kind,
                    "name": file.name,
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
            )
        index = json.dumps({"counts": counts, "files": kept}, indent=1, ensure_ascii=False)
        (fresh / CONTENTS).write_text(index, encoding="utf-8")

    write_folder(folder, write)


def read_originals(folder: Path) -> Originals | None:
    """What `keep_originals` wrote, without files that are damaged; None if there is nothing, or no index."""
    try:
        index: dict[str, Any] = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        found = []
        for entry in index["files"]:
            content = (folder / Path(entry["file"]).name).read_bytes()
            if hashlib.sha256(content).hexdigest() == entry["sha256"]:
                found.append(Original(str(entry["name"]), str(entry["kind"]), content))
        return Originals({str(kind): int(count) for kind, count in index["counts"].items()}, tuple(found))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def has_originals(prepared: Path) -> bool:
    """Whether originals are kept beside these arrays, as they are not by the first versions."""
    return (prepared / ORIGINALS / CONTENTS).is_file()


def add_originals(prepared: Path, files: Sequence[ImageFile], progress: Progress) -> None:
    """Keep originals beside arrays that were prepared without; their kinds come from the headers.

    Where it cannot be written nothing is kept, and an export says that it was tried on drawn files only.
    """
    kinds = []
    for number, file in enumerate(files, start=1):
        kinds.append(kind_of_file(file.path))
        if number % 1000 == 0 or number == len(files):
            progress(LABEL, number, len(files))
    with contextlib.suppress(OSError):
        shutil.rmtree(prepared / ORIGINALS, ignore_errors=True)
        keep_originals(prepared / ORIGINALS, files, kinds)


def _chosen(counts: Counter[str], candidates: dict[str, list[ImageFile]]) -> list[tuple[str, ImageFile]]:
    """A file of middling size and the smallest of each kind, commonest kinds first, while there is room."""
    chosen: list[tuple[str, ImageFile]] = []
    room = MOST_BYTES
    for kind, _ in counts.most_common():
        by_size = sorted(candidates[kind], key=lambda file: (file.size, file.name))
        picked = 0
        for file in dict.fromkeys((*by_size[len(by_size) // 2 :][:1], *by_size[:OF_A_KIND])):
            if picked < OF_A_KIND and file.size <= room:
                chosen.append((kind, file))
                room -= file.size
                picked += 1
    return chosen
