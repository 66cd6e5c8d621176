"""Which versions of a registered model have been champions, and the way back to the one before.

The history is a tag of the registered model. A champion that somebody has named in MLflow itself is in it as
soon as it is followed by another. Every step can be taken again: a command that was cut off is finished by
the same command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.errors import PromotionError
from harness.tracking.mlflow_registry import Registry
from harness.tracking.registered import Version

CHAMPION: Literal["champion"] = "champion"


@dataclass(frozen=True, slots=True)
class Rollback:
    """The alias champion has gone back."""

    version: Version
    """That is champion again."""
    before: int | None
    """The version that was; None if none was."""


def become_champion(registry: Registry, version: Version) -> None:
    """Give a version the alias, and note it after the one that had it."""
    present = registry.with_alias(version.name, CHAMPION)
    history = registry.champions(version.name)
    if present is not None and history[-1:] != [present.number] and present.number != version.number:
        history = [*history, present.number]
        registry.note_champions(version.name, history)
    registry.give_alias(version, CHAMPION)
    if history[-1:] != [version.number]:
        registry.note_champions(version.name, [*history, version.number])


def roll_back(registry: Registry, name: str) -> Rollback:
    """Give the alias champion back to the version that had it before; versions deleted since are passed over.

    Raises:
        PromotionError: no version had it before; nothing was changed then.
        StoreError: the history is damaged, or the store cannot work as it is set up.
        UnreachableError: the store is away.
    """
    present = registry.with_alias(name, CHAMPION)
    history = registry.champions(name)
    while history:
        version = registry.version(name, history[-1])
        if version is not None and (present is None or version.number != present.number):
            registry.note_champions(name, history)
            registry.give_alias(version, CHAMPION)
            return Rollback(version, present.number if present else None)
        history.pop()
    if present is None:
        raise PromotionError(f"The registered model {name} has no champion, and never had one.")
    raise PromotionError(
        f"No version of {name} was champion before version {present.number}, which stays champion."
    )
