"""What a check says: how grave it is, a sentence, and the images that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
"""`error`: results would not be what they seem, or a sweep refuses the data; `warning`: probably a mistake;
`note`: worth knowing."""
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The gravest first."""


@dataclass(frozen=True, slots=True)
class Group:
    """Images that belong together, often just one, by their numbers in `harness.audit.facts.Facts.images`."""

    images: tuple[int, ...]
    remark: str = ""
    """What is to be said of these in particular, without an end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that was found."""

    severity: Severity
    sentence: str
    """What it is, and what to do."""
    groups: tuple[Group, ...] = ()
    files: tuple[str, ...] = ()
    """Paths, relative to the data set, of files that are none of its images."""

    @property
    def count(self) -> int:
        """How many images and files it is about; 0 if it is about the data set as a whole."""
        return len({image for group in self.groups for image in group.images}) + len(self.files)
