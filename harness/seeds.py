"""Every random choice flows from the study's seed, through here."""

from __future__ import annotations

import hashlib


def seed_from(*parts: int | str) -> int:
    """A 31-bit seed that depends on every part, the same on every machine."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") >> 1
