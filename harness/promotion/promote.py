"""Register a model, and have an alias name it: the challenger at once, the champion if it is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.errors import ExportError, PromotionError, ServingError, StudyError
from harness.promotion.candidate import Candidate, candidate_at
from harness.promotion.comparing import Comparison, compare
from harness.promotion.history import CHAMPION, become_champion
from harness.tracking.mlflow_registry import Registry
from harness.tracking.registered import OPENINGS, SHA256, WHY, Version

Alias = Literal["challenger", "champion"]
CHALLENGER: Alias = "challenger"


@dataclass(frozen=True, slots=True)
class Promotion:
    """What has become of a model in the registry."""

    version: Version
    alias: Alias
    before: int | None
    """The version that had the alias; None if none had it."""
    comparison: Comparison | None = None
    """With the champion before, where there was one and the two could be compared."""
    why: str = ""
    """Why it became champion, in a sentence."""


def promote(
    candidate: Candidate,
    registry: Registry,
    *,
    alias: Alias,
    name: str,
    force: bool,
    tell: Callable[[str], None],
) -> Promotion:
    """Register a model unless it is registered already, and give it an alias.

    Args:
        candidate: the model.
        registry: where it goes.
        alias: `challenger`, or `champion` if it is shown to be better than the present one.
        name: of the registered model.
        force: make it champion whether or not that is shown.
        tell: told what is done and found, in sentences.

    Raises:
        PromotionError: it is not shown to be better than the champion, or cannot be compared with it; nothing
            was changed then.
        HarnessError: a model cannot be used, or the registry is away.
    """
    before = registry.with_alias(name, alias)
    if before is not None and before.tags.get(SHA256) == candidate.source.sha256:
        if alias == CHAMPION:
            become_champion(registry, before)  # what a command that was cut off has left undone
        return Promotion(before, alias, before.number, why=f"It is the {alias} already.")
    if alias == CHALLENGER:
        version = _registered(candidate, registry, name)
        registry.give_alias(version, alias)
        return Promotion(version, alias, before.number if before else None)
    comparison, why = _judged(candidate, before, force=force, tell=tell)
    version = _registered(candidate, registry, name)
    registry.tag_version(version, WHY, why)
    become_champion(registry, version)
    return Promotion(version, alias, before.number if before else None, comparison, why)


def _judged(
    candidate: Candidate, champion: Version | None, *, force: bool, tell: Callable[[str], None]
) -> tuple[Comparison | None, str]:
    """The comparison with the champion, and why the model may take its place; else PromotionError."""
    if champion is None:
        return None, "There was no champion yet."
    unless = "Have it registered as challenger (leave --alias out), or add --force."
    try:
        comparison = compare(candidate, _present(champion), tell)
    except PromotionError as error:
        if not force:
            raise PromotionError(
                f"{candidate.source.name} does not become champion, for it cannot be compared with the "
                f"present one. {error} {unless}"
            ) from error
        tell(f"Not compared with the champion. {error}")
        return None, f"Forced, without a comparison. {error}"
    tell(comparison.sentence())
    if comparison.is_better:
        return comparison, f"Better than version {champion.number}. {comparison.sentence()}"
    if not force:
        raise PromotionError(
            f"{candidate.source.name} does not become champion: it is not shown to be better than version "
            f"{champion.number} by more than noise. {unless}"
        )
    return (
        comparison,
        f"Forced, not shown to be better than version {champion.number}. {comparison.sentence()}",
    )


def _present(champion: Version) -> Candidate:
    """The champion, to be compared with; raises PromotionError if its model cannot be had."""
    try:
        return candidate_at(champion.address)
    except (StudyError, ExportError, ServingError) as error:
        raise PromotionError(
            f"The model of the champion, {champion.address}, cannot be had: {error}"
        ) from error


def _registered(candidate: Candidate, registry: Registry, name: str) -> Version:
    """The version that has this model, made now if there is none."""
    found = registry.with_model(name, candidate.source.sha256)
    if found is None:
        return registry.register(name, candidate.keras_model, candidate.tags)
    openings = candidate.tags.get(OPENINGS)
    if openings is not None and found.tags.get(OPENINGS) != openings:
        registry.tag_version(found, OPENINGS, openings)
    return found
