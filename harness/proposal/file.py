"""A proposal as the text of an experiment file: every key with its reason above it."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from harness.data.sentences import counted
from harness.proposal.decisions import Proposal
from harness.proposal.survey import Survey

WIDTH = 110
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_TEXT = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
"""Words that YAML reads as something else than text."""


def found(survey: Survey) -> str:
    """A data set in one line: `480 images in 6 classes of 80, colour, 500×666 pixels`."""
    (_, fewest), (_, most) = survey.fewest, survey.most
    each = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    colour = "grey" if survey.channels == 1 else "colour"
    height, width = survey.size
    sizes = f"{height}×{width} pixels"
    if survey.smallest != survey.largest:
        (low, narrow), (high, wide) = survey.smallest, survey.largest
        sizes = f"about {sizes} (from {low} to {high} high, {narrow} to {wide} wide)"
    text = (
        f"{counted(survey.images, survey.noun)} in {len(survey.class_counts):,} classes of {each}"
        f"{f' training {survey.noun}s' if len(survey.counts) > 1 else ''}, {colour}, {sizes}"
    )
    if len(survey.counts) > 1:
        text += ", divided into " + ", ".join(f"{count:,} {pool}" for pool, count in survey.counts.items())
    return text


def as_yaml(proposal: Proposal, commands: Iterable[str]) -> str:
    """The text of the experiment file.

    Args:
        proposal: what stands in it.
        commands: what may be typed, named at the top of the file.
    """
    lines = [
        *_comment(f"Written for {proposal.survey.config.source}: {found(proposal.survey)}."),
        "#",
        *(f"#     {_shown(command)}" for command in commands),
        "#",
        *_comment("Change what you like; every key that is not here has its default."),
    ]
    for sentence in proposal.warnings:
        lines += ["#", *_comment(sentence)]
    section = ""
    for decision in proposal.decisions:
        head, _, key = decision.key.partition(".")
        if head != section:
            section = head
            lines += ["", *([] if not key else [f"{head}:"])]
        indent = "  " if key else ""
        lines += _comment(decision.reason, indent)
        lines += _entry(key or head, decision.value, indent)
    return "\n".join(lines) + "\n"


def decided(proposal: Proposal) -> list[str]:
    """What was found, what should be known of it, and what was decided and why; for people."""
    return [
        f"found  {proposal.survey.config.source}: {found(proposal.survey)}",
        *proposal.warnings,
        *(f"{one.key}{_briefly(one.value)}: {one.reason}" for one in proposal.decisions if one.reason),
    ]


def described(proposal: Proposal) -> dict[str, Any]:
    """What was found and decided, for programs."""
    survey = proposal.survey
    return {
        "found": {
            "source": survey.config.source,
            "images": survey.counts,
            "classes": survey.class_counts,
            "size": survey.size,
            "smallest": survey.smallest,
            "largest": survey.largest,
            "channels": survey.channels,
            "headers": survey.headers,
        },
        "notes": [*survey.notes, *proposal.warnings],
        "decided": [asdict(one) for one in proposal.decisions],
    }


def quoted(path: str) -> str:
    """A path as a shell takes it."""
    return shlex.quote(path)


def flow(value: Any) -> str:
    """A value in one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return _text(str(value))


def _briefly(value: Any) -> str:
    """A value for the line that tells its reason; mappings are left to the file."""
    has_mappings = isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(v, dict) for v in value)
    )
    return "" if has_mappings else f" {flow(value)}"


def _entry(key: str, value: Any, indent: str) -> list[str]:
    """A key and its value; a list of mappings has a line for each."""
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        items = [f"{indent}  - {flow(one)}" for one in value]
        return [f"{indent}{key}:", *(line for item in items for line in _broken(item, f"{indent}     "))]
    return [f"{indent}{key}: {flow(value)}"]


def _broken(line: str, indent: str) -> list[str]:
    """A long line of YAML in several, broken after commas that divide the keys of a mapping."""
    if len(line) <= WIDTH:
        return [line]
    parts = textwrap.wrap(line.lstrip(), WIDTH - len(indent), break_long_words=False, break_on_hyphens=False)
    first = line[: len(line) - len(line.lstrip())]
    return [f"{first}{parts[0]}", *(f"{indent}{part}" for part in parts[1:])]


def _comment(text: str, indent: str = "") -> list[str]:
    wrapped = textwrap.wrap(_shown(text), WIDTH - len(indent) - 2, break_on_hyphens=False)
    return [f"{indent}# {line}" for line in wrapped]


def _shown(text: str) -> str:
    """A text on one line, with what could not be printed made visible."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _text(text: str) -> str:
    """Text as YAML reads it back, quoted unless it is a plain word."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    escaped = (
        character if character.isprintable() and character not in '"\\' else _escaped(character)
        for character in text
    )
    return '"' + "".join(escaped) + '"'


def _escaped(character: str) -> str:
    return f"\\{character}" if character in '"\\' else f"\\U{ord(character):08x}"
