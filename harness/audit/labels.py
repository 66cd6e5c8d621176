"""Classes whose names a person would take for the same."""

from __future__ import annotations

import unicodedata

from harness.audit.facts import Facts
from harness.audit.finding import Finding
from harness.audit.kind import Check
from harness.data.sentences import listed
from harness.records import Progress

LOOK_ALIKE = str.maketrans(
    "аеіјорсухѕһԁɡαοιρν\u0131",
    "aeijopcyxshdgaoipvi",
)
"""Lower-case letters of other alphabets by the Latin ones that they look like."""


def looks(name: str) -> str:
    """What a person sees of a name: without case, accents' encoding, width, spaces, invisible characters."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    seen = "".join(one for one in plain if unicodedata.category(one) != "Cf" and not one.isspace())
    return seen.translate(LOOK_ALIKE).replace("_", "").replace("-", "")


def _find(facts: Facts, _: Progress) -> list[Finding]:
    alike: dict[str, list[str]] = {}
    for name in facts.classes:
        alike.setdefault(looks(name), []).append(name)
    counts = facts.counts()
    return [
        Finding(
            severity="warning",
            sentence=f"The classes {listed([_shown(name, counts[name].total()) for name in names], 5)} have "
            f"names that {_differ(names)}. If they are the same class, give them one name.",
        )
        for names in alike.values()
        if len(names) > 1
    ]


def _shown(name: str, images: int) -> str:
    return f"{name!a} ({images:,})" if not name.isascii() else f"{name!r} ({images:,})"


def _differ(names: list[str]) -> str:
    if len({unicodedata.normalize("NFC", name).casefold() for name in names}) == 1:
        return "differ only in case or in how Unicode writes them"
    if len({"".join(name.casefold().split()).replace("_", "").replace("-", "") for name in names}) == 1:
        return "differ only in spaces or separators"
    return "look the same, but have other characters"


CHECK = Check(about="labels that differ only by case, spaces or Unicode form", find=_find)
