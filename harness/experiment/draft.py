"""An experiment file before it is checked: its values, what overrides change, and where each stands."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ExperimentError
from harness.experiment.old_files import ALSO_ADVICE, LIMITS_ADVICE, modernised, with_own_keys
from harness.experiment.space_file import written_out
from harness.experiment.yaml_file import Lines, parse_value, parse_yaml
from harness.messages import shown


@dataclass(slots=True)
class Draft:
    """The values of an experiment file by the keys of this version, whatever keys the file and overrides use.

    `draft_of` makes one, `override` changes it.
    """

    file: Path
    values: dict[str, Any]
    own_space: Any
    """The file's `space` section, whatever overrides say."""
    advice: list[str]
    """Sentences about the file and the overrides that the user should read."""
    _lines: Lines
    """1-based line by key path as it is written in the file; 0 for a key path that was typed."""
    _written: dict[str, str]
    """Key paths as they were written or typed, by what they are in this version."""

    def override(self, text: str) -> None:
        """Take in one `key.path=value`, the value in YAML; it replaces what stands there.

        Whatever the file calls them, `objective` is the first objective, `also` are the others, and `limits`
        are the constraints.

        Raises:
            ExperimentError: it is not written so, or its key path leads through a value without keys.
        """
        typed, mark, value = text.partition("=")
        typed = typed.strip()
        if not mark or not typed:
            raise ExperimentError(f"--set takes KEY=VALUE, such as dataset.image_size=64, not {text!r}.")
        parsed = parse_value(value)
        head, *rest = typed.split(".")
        if head == "objective" or (head == "objectives" and rest):
            if self._can_list_objectives():
                self._put(["objectives", *(["0"] if head == "objective" else []), *rest], typed, parsed)
        elif typed == "also":
            self.advice.append(f"--set also: {ALSO_ADVICE}")
            if self._can_list_objectives():
                self._put_others(parsed)
        elif head == "limits":
            self.advice.append(f"--set {typed}: {LIMITS_ADVICE}")
            self._put(["constraints", *rest], typed, parsed)
        else:
            if head == "space" and rest[1:2] == ["prior"]:
                self._write_out(rest[0])
            self._put([head, *rest], typed, parsed)
        if typed == "scheduler.kind":  # what the file says of another kind goes with it
            self.values["scheduler"] = with_own_keys(self.values["scheduler"])

    def where(self, path: str) -> str:
        """Where the value at a key path comes from, and its path as it is written there."""
        written = self._as_written(path)
        known = written
        while known and known not in self._lines:
            known = known.rpartition(".")[0]
        line = self._lines.get(known)
        if line == 0:
            return f"--set {written}"
        return f"{self.file}:{line}: {written}" if line else f"{self.file}: {written or 'the file'}"

    def is_typed(self, path: str) -> bool:
        """Whether an override, and not the file, says what stands at a key path, or at some under it."""
        inside = f"{path}."
        return self.where(path).startswith("--set ") or any(
            line == 0 and known.startswith(inside) for known, line in self._lines.items()
        )

    def _as_written(self, path: str) -> str:
        known = path
        while known and known not in self._written:
            known = known.rpartition(".")[0]
        return self._written[known] + path.removeprefix(known) if known else path

    def _can_list_objectives(self) -> bool:
        """Make sure that there is a first objective.

        Returns:
            False if `objectives` is something else than a list, which the schema refuses.
        """
        listed = self.values.setdefault("objectives", [])
        if isinstance(listed, list) and not listed:
            listed.append({})
        return isinstance(listed, list)

    def _write_out(self, name: str) -> None:
        """Make the mapping of a parameter's short form that it stands for, so that it can have a prior."""
        entries = self.values.get("space")
        if isinstance(entries, dict) and name in entries:
            entries[name] = written_out(name, entries[name])

    def _put(self, path: list[str], typed: str, value: Any) -> None:
        place: Any = self.values
        for depth, key in enumerate(path):
            known: Any = key
            if isinstance(place, list) and key.isdecimal() and int(key) < len(place):
                known = int(key)
            elif not isinstance(place, dict):
                inner = "keys" if not isinstance(place, list) else f"entry {key}"
                above = self._as_written(".".join(path[:depth]))
                raise ExperimentError(
                    f"--set {typed}: {above} is {shown(place)}, which has no {inner} inside."
                )
            elif depth < len(path) - 1:
                place.setdefault(key, {})
            if depth < len(path) - 1:
                place = place[known]
            else:
                place[known] = value
        self._note(".".join(path), typed)

    def _put_others(self, others: Any) -> None:
        first, count = self.values["objectives"][0], len(self.values["objectives"])
        if not isinstance(others, list):
            self.values["objectives"] = others
            self._note("objectives", "also")
            return
        self.values["objectives"] = [first, *others]
        for index in range(1, max(count, len(others) + 1)):
            self._note(f"objectives.{index}", f"also.{index - 1}")

    def _note(self, path: str, typed: str) -> None:
        """What stands at a key path, and under it, was typed."""
        for known, key in ((self._written, path), (self._lines, typed)):
            for old in [old for old in known if old == key or old.startswith(f"{key}.")]:
                del known[old]
        self._written[path], self._lines[typed] = typed, 0


def draft_of(text: str, file: Path) -> Draft:
    """The text of an experiment file, not yet checked.

    Args:
        text: in YAML.
        file: where it stands, or will stand, for messages.

    Raises:
        ExperimentError: it is not YAML; with the file's name and the line.
    """
    values, lines = parse_yaml(text, file)
    values, advice, written = modernised(values)
    own_space = deepcopy(values.get("space"))
    return Draft(file, values, own_space, [f"{file}: {sentence}" for sentence in advice], lines, written)
