"""Read a YAML file from a stranger: no tags, no bombs, no duplicate keys, and 1e-3 is a number."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ExperimentError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_NODES = 20_000
SHOWN = 100
"""Characters of a wrong value that are repeated to the user."""
_CONSTRUCTION = ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError
"""What PyYAML raises for values such as the date 2026-13-45, a number of 5,000 digits or `!!int x`."""
Lines = dict[str, int]
"""1-based line by key path, such as `space.depth`."""


class _Loader(yaml.SafeLoader):
    pass


# YAML 1.1 reads 1e-3 as text; everybody who writes it means a number.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*(\.\d*)?|\.\d+)([eE][-+]?\d+)$|^[-+]?(\d[\d_]*)?\.\d+$|^[-+]?\d+\.$"),
    list("-+0123456789."),
)


def parse_value(text: str) -> Any:
    """The value of one `--set key=value`; raises ExperimentError."""
    try:
        _check_events(text, "the value")
        return _Loader(text).get_single_data()
    except ExperimentError as error:
        raise ExperimentError(f"{_shortened(text)} cannot be used: {error}") from error
    except yaml.YAMLError as error:
        raise ExperimentError(f"{_shortened(text)} is not a YAML value ({_reason(error)}).") from error
    except _CONSTRUCTION as error:
        raise ExperimentError(f"{_shortened(text)} is not a YAML value ({_reason(error)}).") from error


def read_text(file: Path) -> str:
    """What stands in `file`; raises ExperimentError if it is too long or no text, or cannot be read."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ExperimentError(f"{file} has more than {MAX_BYTES:,} bytes; this is no experiment file.")
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ExperimentError(f"{file} is not a text file in UTF-8.") from error
    except OSError as error:
        raise ExperimentError(f"{file} cannot be read: {error.strerror}.") from error


def parse_yaml(text: str, file: Path) -> tuple[dict[str, Any], Lines]:
    """The mapping in a text and the line of every key.

    Args:
        text: in YAML.
        file: where it stands, or will stand, for errors.

    Raises:
        ExperimentError: with the file's name and, where it is known, the line.
    """
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        _check_events(text, str(file))
        node = loader.get_single_node()
        lines: Lines = {}
        if node is not None:
            _index(node, "", lines, file)
        value = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ExperimentError(f"{_place(file, error)}: this is not YAML: {_reason(error)}.") from error
    except _CONSTRUCTION as error:
        raise ExperimentError(f"{file}: a value cannot be read: {_reason(error)}.") from error
    finally:
        if loader is not None:
            loader.dispose()
    if value is None:
        raise ExperimentError(f"{file} is empty. It needs at least a name and a space; see `quickstart`.")
    if not isinstance(value, dict):
        raise ExperimentError(
            f"{file} holds a {type(value).__name__}, not keys with values such as `name: my-sweep`."
        )
    return value, lines


def _check_events(text: str, what: str) -> None:
    """Refuse what would take for ever, before anything is built: bombs of aliases, depth and number."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, yaml.AliasEvent):
            raise ExperimentError(f"{what}: aliases (*{event.anchor}) are not allowed; write it out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or count > 4 * MAX_NODES:
            raise ExperimentError(f"{what} is nested too deeply or too long for an experiment file.")


def _index(node: yaml.Node, path: str, lines: Lines, file: Path) -> None:
    """Note the line of every key; refuse duplicates, other keys than text, and endless files."""
    if path.count(".") > MAX_DEPTH or len(lines) > MAX_NODES:
        raise ExperimentError(f"{file} is nested too deeply or too long for an experiment file.")
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _index(item, f"{path}.", lines, file)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise ExperimentError(f"{file}:{line}: the key {getattr(key, 'value', '…')!r} is not a word.")
        full = f"{path}.{key.value}" if path else str(key.value)
        if key.value in seen:
            raise ExperimentError(f"{file}:{line}: the key {full} stands here a second time.")
        seen.add(key.value)
        lines.setdefault(full, line)
        _index(value, full, lines, file)


def _place(file: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{file}:{mark.line + 1}" if mark is not None else str(file)


def _shortened(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def _reason(error: Exception) -> str:
    problem = getattr(error, "problem", None) or str(error)
    return str(problem).split("\n", 1)[0]
