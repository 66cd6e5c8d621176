"""What lies beside the images without being one of them: hidden files, documents, other data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from harness.audit.facts import Facts
from harness.audit.finding import Finding
from harness.audit.kind import Check
from harness.data.not_data import SYSTEM_FILES, SYSTEM_FOLDERS, is_document
from harness.data.sentences import as_text, counted
from harness.data.tree import matches
from harness.records import Progress


def _find(facts: Facts, _: Progress) -> list[Finding]:
    hidden: list[str] = []
    others: list[str] = []
    for name, is_folder in _unused(facts):
        last = name.rpartition("/")[2]
        system = last.casefold() in (SYSTEM_FOLDERS if is_folder else SYSTEM_FILES)
        if last.startswith(".") or system:
            hidden.append(name)
        elif not is_folder:
            others.append(name)
    found = []
    if hidden:
        number = counted(len(hidden), "hidden or system entry", "hidden or system entries")
        found.append(
            Finding(
                severity="note",
                sentence=f"{number} beside the {facts.noun}s. Such are passed over here, but other tools "
                f"may count them as {facts.noun}s.",
                files=tuple(hidden),
            )
        )
    if others:
        documents = sum(is_document(name.rpartition("/")[2]) for name in others)
        found.append(
            Finding(
                severity="note",
                sentence=f"Not used: {counted(len(others), 'file')} beside the {facts.noun}s ({documents:,} "
                f"by their suffix no {facts.noun}). See that nothing is missing.",
                files=tuple(others),
            )
        )
    return found


def _unused(facts: Facts) -> Iterator[tuple[str, bool]]:
    """What is in the folders that hold images and is none of them: its path, and whether it is a folder."""
    folders: dict[Path, str] = {}
    used: set[str] = set()
    for image in facts.images:
        if image.path is not None:
            folders.setdefault(image.path.parent, image.name.rpartition("/")[0])
            used.add(str(image.path))
    patterns = facts.config.ignore or []
    for folder in sorted(folders):
        below = folders[folder]
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError:  # it has gone since
            continue
        for entry in entries:
            name = f"{below}/{entry.name}" if below else entry.name
            if str(folder / entry.name) not in used and not any(
                matches(name, pattern) for pattern in patterns
            ):
                yield as_text(name), entry.is_dir()


CHECK = Check(about="hidden files and files that are no images", find=_find)
