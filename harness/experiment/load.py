"""Experiments from built-in names, files and overrides, with every problem told at once."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ExperimentError
from harness.experiment.parameters import shown
from harness.experiment.yaml_file import Lines, parse_value, read_yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from harness.experiment.schema import Experiment

EXAMPLE = "quickstart"


def builtin_folder() -> Path:
    """Where the shipped experiments are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "experiments"
    return inside if inside.is_dir() else package.parent / "experiments"


def builtin_names() -> list[str]:
    """The names that `harness sweep NAME` knows."""
    return sorted(file.stem for file in builtin_folder().glob("*.yaml"))


def load(name_or_path: str, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment, checked as a whole.

    Args:
        name_or_path: a built-in name, or the path of a YAML file.
        overrides: `key.path=value`, the value in YAML; later ones win.

    Raises:
        ExperimentError: one line for each problem, with file, line, key path, what was found, what is
            allowed, and the nearest valid name.
    """
    from pydantic import ValidationError

    from harness.experiment.schema import Experiment

    file = _find(name_or_path)
    values, lines = read_yaml(file)
    for override in overrides:
        _override(values, lines, override)

    problems: list[tuple[str, str]] = []
    experiment = None
    try:
        experiment = Experiment.model_validate(_tuples(values))
    except ValidationError as error:
        problems = [_explain(details) for details in error.errors()]
    space = values.get("space")
    if isinstance(space, dict) and space:
        from harness.experiment.space import parse_space, start_problems

        model = values.get("model")
        try:
            parsed = parse_space(space, model if isinstance(model, str) else None)
            problems += start_problems(parsed, values.get("start_with"))
        except ExperimentError as error:
            problems += [
                (path, text) for path, _, text in (line.partition(": ") for line in str(error).split("\n"))
            ]
    if problems:
        raise ExperimentError("\n".join(f"{_where(file, lines, path)}: {text}" for path, text in problems))
    assert experiment is not None
    return experiment


def single(experiment: Experiment) -> Experiment:
    """The experiment as one full training of one configuration: every range gives way to its default."""
    from harness.experiment.schema import Experiment
    from harness.experiment.space import defaults

    values = dump(experiment)
    return Experiment.model_validate(
        _tuples(
            values
            | {
                "space": dict(defaults(experiment.compiled_space())),
                "search": values["search"] | {"trials": 1},
                "scheduler": values["scheduler"] | {"kind": "none"},
            }
        )
    )


def dump(experiment: Experiment) -> dict[str, Any]:
    """The experiment as JSON-serialisable builtins; `restore` reads them back."""
    return experiment.model_dump(mode="json")


def restore(values: dict[str, Any]) -> Experiment:
    """The inverse of `dump`."""
    from harness.experiment.schema import Experiment

    return Experiment.model_validate(_tuples(values))


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path)
    names = builtin_names()
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:
        raise ExperimentError(f"{shown(name_or_path)} cannot be read: {error.strerror}.") from error
    if name_or_path in names and not is_file:
        return builtin_folder() / f"{name_or_path}.yaml"
    if is_folder:
        raise ExperimentError(
            f"{name_or_path} is a folder, not an experiment file. To train on a folder of images, type "
            f"`harness sweep --dataset {name_or_path}`."
        )
    if not is_file:
        near = difflib.get_close_matches(name_or_path, names, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ExperimentError(
            f"There is no experiment {name_or_path!r}: neither a file of that name nor one of the built-in "
            f"ones ({', '.join(names)}).{hint}"
        )
    return path


def _tuples(values: Any) -> Any:
    """A YAML list is what a strict schema calls a tuple, in the one place that has one."""
    dataset = values.get("dataset") if isinstance(values, dict) else None
    if isinstance(dataset, dict) and isinstance(dataset.get("image_size"), list):
        return values | {"dataset": dataset | {"image_size": tuple(dataset["image_size"])}}
    return values


def _override(values: dict[str, Any], lines: Lines, override: str) -> None:
    key, mark, text = override.partition("=")
    key = key.strip()
    if not mark or not key:
        raise ExperimentError(f"--set takes KEY=VALUE, such as dataset.image_size=64, not {override!r}.")
    *folders, last = key.split(".")
    place = values
    for folder in folders:
        inner = place.setdefault(folder, {})
        if not isinstance(inner, dict):
            raise ExperimentError(f"--set {key}: {folder} is {inner!r}, which has no keys inside.")
        place = inner
    place[last] = parse_value(text)
    for path in [path for path in lines if path == key or path.startswith(f"{key}.")]:
        del lines[path]
    lines[key] = 0


def _where(file: Path, lines: Lines, path: str) -> str:
    known = path
    while known and known not in lines:
        known = known.rpartition(".")[0]
    line = lines.get(known)
    if line == 0:
        return f"--set {path}"
    return f"{file}:{line}: {path}" if line else f"{file}: {path or 'the file'}"


def _explain(details: ErrorDetails) -> tuple[str, str]:
    """A key path and a sentence, instead of pydantic's terms."""
    names = [str(part) for part in details["loc"] if not _is_branch(str(part))]
    path, found, kind = ".".join(names), details["input"], details["type"]
    context = details.get("ctx", {})
    if kind == "extra_forbidden":
        siblings = _keys_beside(names)
        near = difflib.get_close_matches(names[-1], siblings, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(siblings)}"
        return path, f"there is no such key{hint}"
    if kind == "missing":
        return path, "this key is missing"
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", "")
        near = difflib.get_close_matches(shown(found), allowed.replace(" or ", ", ").split(", "), n=1)
        return path, f"{shown(found)} is not allowed; it must be {allowed}" + (
            f"; did you mean {near[0]}?" if near else ""
        )
    if kind == "string_pattern_mismatch":
        return path, (
            f"{shown(found)} is not a name; use up to 40 lower-case letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit"
        )
    if kind == "too_short":
        return path, "it is empty; it needs at least one entry"
    message = details["msg"].removeprefix("Value error, ").replace("Input should be ", "it must be ")
    return path, f"{shown(found)} is not allowed: {message[0].lower()}{message[1:]}"


def _is_branch(part: str) -> bool:
    """Pydantic names the branch of a union inside the path."""
    return part in ("int", "none") or part.startswith(
        ("tuple[", "list[", "literal[", "constrained-", "function-")
    )


def _keys_beside(names: list[str]) -> list[str]:
    from pydantic import BaseModel

    from harness.experiment.schema import Experiment

    model: type[BaseModel] = Experiment
    for name in names[:-1]:
        if name.isdecimal():
            continue  # an entry of a list
        inner = model.model_fields[name].annotation
        if isinstance(inner, types.UnionType | types.GenericAlias):
            inner = typing.get_args(inner)[0]
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        model = inner
    return list(model.model_fields)
