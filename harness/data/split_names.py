"""Which split a name speaks of: of a folder, a file, an array, or a value of a list's column."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.data.source import Pool

_SPLIT_WORDS: dict[str, Pool | None] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "test": "test",
    "testing": "test",
    "holdout": "test",
    "heldout": "test",
    "pred": None,
    "predict": None,
    "prediction": None,
    "predictions": None,
    "unlabelled": None,
    "unlabeled": None,
    "submission": None,
}
"""None: images without labels."""
CANONICAL = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
"""Names that can be meant in one way only, so that nothing needs to be said of them."""
NEUTRAL = frozenset([
    "set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "pic", "pics",
    "picture", "pictures", "photo", "photos", "folder", "folders", "dir", "split", "splits", "sample",
    "samples", "file", "files", "jpg", "jpeg", "png",
])  # fmt: skip
"""Words that say nothing of the content."""
_GLUED = re.compile(
    r"(?P<split>train|training|val|valid|validation|dev|eval|test|testing|holdout)"
    r"(?:set|data|dataset|images?|imgs?|split|folder)|(?:images?|imgs?|data)(?P<last>train|val|valid|test)"
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class SplitName:
    """A name that holds a split's word."""

    pool: Pool | None
    """None: images without labels."""
    rest: tuple[str, ...]
    """The name's other words in lower case, without numbers and neutral ones; empty if the name can hardly
    mean anything but the split."""


def words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: `TrainSet_2` is train, set, 2."""
    return tuple(word.casefold() for word in _WORDS.findall(unicodedata.normalize("NFC", name)))


def split_name(name: str) -> SplitName | None:
    """What the name says of a split; None if it says nothing, or speaks of two."""
    parts = words(name)
    joined = "".join(parts)
    if joined in _SPLIT_WORDS:  # hold_out, Un-labelled, or a plain word
        return SplitName(_SPLIT_WORDS[joined], ())
    found: list[Pool | None] = []
    rest: list[str] = []
    for part in parts:
        glued = _GLUED.fullmatch(part)
        word = (glued["split"] or glued["last"]) if glued else part
        if word in _SPLIT_WORDS:
            found.append(_SPLIT_WORDS[word])
        elif part not in NEUTRAL and not part.isdecimal():
            rest.append(part)
    if len(set(found)) != 1:
        return None
    return SplitName(found[0], tuple(rest))


def plain_split(name: str) -> SplitName | None:
    """The split that a name says and nothing else, as `training_set` does; None for other names."""
    found = split_name(name)
    return found if found and not found.rest else None


def split_names(names: Sequence[str]) -> dict[str, SplitName]:
    """The splits that names beside each other mean.

    A name with further words, such as `seg_train`, is one only if another has the same further words and
    another split: `steam_train` and `bullet_train` are things.
    """
    found = {name: split for name in names if (split := split_name(name))}
    kinds: dict[tuple[str, ...], set[Pool | None]] = {}
    for split in found.values():
        kinds.setdefault(split.rest, set()).add(split.pool)
    return {
        name: split
        for name, split in found.items()
        if not split.rest or (len(kinds[split.rest]) > 1 and "train" in kinds[split.rest])
    }


def flat(named: Mapping[str, Sequence[str]]) -> set[str]:
    """All names that the user gave for splits, lower case."""
    return {name.strip().casefold() for names in named.values() for name in names}


def value_split(value: str, named: dict[str, list[str]] | None = None) -> SplitName | None:
    """The split that a value of a list's column means; None if it means none.

    Args:
        value: as written.
        named: values by pool that the user gave; they hold before anything else.
    """
    if named:
        wanted = unicodedata.normalize("NFC", value).strip().casefold()
        for pool in ("train", "validation", "test"):
            if wanted in flat({pool: named.get(pool, [])}):
                return SplitName(pool, ())
    return plain_split(value)
