"""Which formats a bundle holds: those that were asked for, or all that can be had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from harness.deploy.formats import FORMATS
from harness.deploy.formats.format import ExportFormat
from harness.deploy.trained import TrainedModel
from harness.errors import ExportError, UsageError
from harness.messages import nearest, shown

ALWAYS = "keras"
"""The format that every bundle has, since what harness does with bundles is done with it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Formats for one model."""

    formats: Mapping[str, ExportFormat]
    """By name."""
    left_out: tuple[str, ...] = ()
    """Why others are not among them, in sentences."""


def formats_named(names: Sequence[str]) -> tuple[str, ...]:
    """Names of formats as they were given, each once, in the order of the registry, with `keras`.

    Raises:
        UsageError: there is no format of that name.
    """
    for name in names:
        if name not in FORMATS:
            raise UsageError(
                f"There is no format {shown(name)}{nearest(name, FORMATS) or '.'} "
                f"There are {', '.join(FORMATS)}."
            )
    return tuple(name for name in FORMATS if name in names or name == ALWAYS)


def installed(names: Sequence[str] | None) -> Choice:
    """The formats whose libraries are there.

    Args:
        names: the ones that are wanted; None for all.

    Raises:
        UsageError: there is no format of that name.
        ExportError: a format was named whose libraries are missing.
    """
    wanted = FORMATS if names is None else {name: FORMATS[name] for name in formats_named(names)}
    missing = {name: one for name, one in wanted.items() if not all(map(_is_there, one.packages))}
    extras = sorted({one.extra for one in missing.values()})
    how = f"pip install 'harness[{','.join(extras)}]'"
    if missing and names is not None:
        raise ExportError(f"The libraries of {', '.join(missing)} are not installed. To get them: {how}")
    left_out = f"Left out, for want of their libraries: {', '.join(missing)}. To get them: {how}"
    kept = {name: one for name, one in wanted.items() if name not in missing}
    return Choice(kept, (left_out,) if missing else ())


def fitting(
    choice: Choice, network: Any, source: TrainedModel, *, training_images: bool, named: bool
) -> Choice:
    """Those formats of a choice that suit a network.

    Args:
        choice: of formats whose libraries are there.
        network: a `keras.Model`.
        source: where it comes from.
        training_images: whether there are any to quantise by.
        named: whether the user has named the formats.

    Raises:
        ExportError: a format was named that does not suit.
    """
    reasons: dict[str, list[str]] = {}
    for name, one in choice.formats.items():
        why = one.refuses(network)
        if not why and one.needs_training_images and not training_images:
            study = source.provenance.get("study", "STUDY")
            why = (
                "It is quantised by examples of the training split, and those are gone; if the data set "
                f"itself is still there, harness resume {study} prepares it again and keeps a few."
            )
        if why:
            reasons.setdefault(why, []).append(name)
    if reasons and named:
        raise ExportError(
            " ".join(f"This model cannot be {', '.join(names)}. {why}" for why, names in reasons.items())
        )
    refused = [f"Left out: {', '.join(names)}. {why}" for why, names in reasons.items()]
    gone = {name for names in reasons.values() for name in names}
    kept = {name: one for name, one in choice.formats.items() if name not in gone}
    return Choice(kept, (*choice.left_out, *refused))


def versions_of(formats: Iterable[ExportFormat]) -> dict[str, str]:
    """The installed versions of what users of some formats need, by distribution."""
    names = dict.fromkeys(name for one in formats for name in one.runtime)
    return {name: version(name) for name in (*names, "numpy") if _is_there(name)}


def _is_there(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
