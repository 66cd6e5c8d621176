"""Files whose name says another format than their content."""

from __future__ import annotations

from pathlib import PurePosixPath

from harness.audit.facts import Facts
from harness.audit.finding import Finding, Group
from harness.audit.kind import Check
from harness.data.file_kinds import format_of
from harness.data.sentences import counted
from harness.records import Progress

SUFFIXES: dict[str, frozenset[str]] = {
    "JPEG": frozenset({".jpg", ".jpeg", ".jpe", ".jfif"}),
    "MPO": frozenset({".mpo", ".jpg", ".jpeg", ".jpe", ".jfif"}),
    "PNG": frozenset({".png"}),
    "BMP": frozenset({".bmp", ".dib"}),
    "GIF": frozenset({".gif"}),
    "WEBP": frozenset({".webp"}),
    "TIFF": frozenset({".tif", ".tiff"}),
    "PPM": frozenset({".ppm", ".pgm", ".pbm", ".pnm", ".pfm"}),
}
"""Suffixes by format; a name without a suffix claims nothing."""


def _find(facts: Facts, _: Progress) -> list[Finding]:
    groups = []
    for number, image in enumerate(facts.images):
        suffix = PurePosixPath(image.name).suffix.lower() if image.path is not None else ""
        form = format_of(image.kind)
        if suffix and form in SUFFIXES and suffix not in SUFFIXES[form]:
            groups.append(Group((number,), f"it is a {form} file called {suffix}"))
    if not groups:
        return []
    return [
        Finding(
            severity="note",
            sentence=f"{counted(len(groups), 'file has', 'files have')} the suffix of "
            "another format. Such are read by their content here; other tools may not, so rename them.",
            groups=tuple(groups),
        )
    ]


CHECK = Check(about="suffixes that do not match the content", find=_find, images_only=True)
