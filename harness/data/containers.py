"""In which container a video is, by its first bytes and never by its name."""

from __future__ import annotations

from harness.data.foreign import what_it_is

HEAD = 4096
"""Bytes of a file that say what it is."""
_FIRST_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip")
"""What QuickTime files may begin with beside `ftyp`."""


def container_of(head: bytes) -> str | None:
    """FFmpeg's name for the container that a file's first bytes show; None if they show none.

    Args:
        head: the first 12 bytes of the file, or more.
    """
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    if head[4:8] in _FIRST_BOXES:
        return "mov"
    if what_it_is(head) != "it is a video":  # photographs such as HEIC begin as videos do
        return None
    return "mov" if head[4:8] == b"ftyp" else "matroska"
