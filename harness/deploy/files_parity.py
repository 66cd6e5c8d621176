"""What is known of an exported model that takes image files, once it has been tried on many."""

from __future__ import annotations

from dataclasses import dataclass

from harness.data.sentences import counted

SHOWN = 3
"""Kinds of files that a sentence names."""


@dataclass(frozen=True, slots=True)
class FilesParity:
    """How the entry of an exported model that takes image files has done."""

    artefact: str
    """The model and its entry."""
    originals: int
    """Files of the data set that were read."""
    kinds: int
    """How many kinds they are of."""
    drawn: int
    """Files drawn for it that were read."""
    images: int
    """Files that were read in all."""
    largest_difference: float
    largest_pixel_difference: int
    """The largest difference of a pixel, in grey levels."""
    same_class: int
    """How many of the files that were read have the class that their decoded pixels have."""
    read: tuple[str, ...]
    """The formats of image files that the model reads."""
    refused: tuple[str, ...]
    """The formats of image files that training reads and the model does not."""
    refused_kinds: dict[str, int]
    """Kinds of files of the data set that are refused, and how many files those are."""
    files: int | None
    """Files of the data set; None where they are not known, or there are none."""
    entry: str
    """What takes image files."""
    pixels_entry: str
    """What takes decoded pixels instead."""
    reasons: tuple[str, ...] = ()
    """How files of the data set were refused, one of each."""

    def sentence(self) -> str:
        """What was found, in a sentence for people."""
        ours = "no original files (none are kept with the study)"
        if self.files is not None:
            ours = f"{counted(self.originals, 'original file')} of {counted(self.kinds, 'kind')}"
        refused = f"; refused: {', '.join(self.refused)}" if self.refused else ""
        return (
            f"{self.artefact}: {ours} and {self.drawn} drawn ones: pixels differ by at most "
            f"{self.largest_pixel_difference} of 255, probabilities by {self.largest_difference:.1e}, same "
            f"class on {self.same_class} of {self.images}{refused}"
        )

    def warnings(self) -> list[str]:
        """What whoever ships the model must know, in sentences."""
        if not self.refused_kinds or not self.files:
            return []
        several = len(self.refused_kinds) > SHOWN
        kinds = "; ".join(list(self.refused_kinds)[:SHOWN]) + "; …" * several
        count = sum(self.refused_kinds.values())
        why = f" The answer is, for example: {self.reasons[0]}" if self.reasons else ""
        return [
            f"{self.entry} does not read {kinds}: {count:,} of the data set's {self.files:,} files "
            f"({count / self.files:.0%}).{why} Convert such files before you send them, or send decoded "
            f"pixels to {self.pixels_entry}."
        ]
