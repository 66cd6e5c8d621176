"""Readable names for studies."""

from __future__ import annotations

import re
import secrets

from harness.errors import UsageError

_ADJECTIVES = (
    "amber", "bold", "brisk", "calm", "clear", "cosy", "deft", "eager", "early", "fair", "fleet", "fresh",
    "gentle", "glad", "golden", "keen", "kind", "lively", "lucid", "mellow", "neat", "noble",
    "quick", "quiet", "ready", "silver", "smart", "steady", "sunny", "swift", "tidy", "vivid", "warm",
)  # fmt: skip
_NOUNS = (
    "badger", "beaver", "bison", "crane", "curlew", "dolphin", "falcon", "ferret", "finch", "fox", "gecko",
    "hare", "heron", "ibex", "jackal", "kestrel", "lark", "lynx", "marten", "newt", "otter", "owl", "panda",
    "puffin", "raven", "robin", "seal", "sparrow", "stoat", "stork", "swan", "tern", "wren",
)  # fmt: skip
_ALLOWED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def new_name(experiment: str, taken: set[str]) -> str:
    """A name such as `quickstart-brisk-otter` that is not taken.

    Names are labels, not part of the experiment: they come from the operating system's randomness,
    so that two people with the same seed do not get the same one.
    """
    while True:
        name = f"{experiment}-{secrets.choice(_ADJECTIVES)}-{secrets.choice(_NOUNS)}"
        if name not in taken:
            return name


def check_name(name: str) -> str:
    """The name itself; raises UsageError if it cannot be a folder's name."""
    if not _ALLOWED.fullmatch(name):
        raise UsageError(
            f"A study cannot be called {name!r}. Use 1 to 63 letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit."
        )
    return name
