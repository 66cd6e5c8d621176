"""Experiments from built-in names, files and overrides, with every problem told at once."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import ExperimentError
from harness.experiment.advice import schedule_advice
from harness.experiment.draft import Draft, read_draft
from harness.experiment.drawing import defaults
from harness.experiment.experiment import Experiment, compile_experiment
from harness.experiment.old_files import modernised, with_own_keys, with_precision
from harness.experiment.problems import Problem, explain, not_repeatable, objective_problems
from harness.experiment.schema import ExperimentConfig
from harness.experiment.space import Space
from harness.experiment.space_conditions import start_problems
from harness.experiment.space_file import parse_space
from harness.messages import shown
from harness.records import Precision


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
    draft = read_draft(_find(name_or_path))
    for override in overrides:
        draft.override(override)
    space, more = _space_of(draft.values)
    search_advice = _leave_out_starts(draft, space) if space is not None else []
    config, problems = _checked(draft.values)
    problems += more if space is None else start_problems(space, draft.values.get("start_with"))
    experiment = None
    if config is not None and space is not None and not problems:
        search_advice += schedule_advice(space, config.scheduler.kind)
        experiment = replace(
            compile_experiment(config, space, draft.advice), search_advice=tuple(search_advice)
        )
        problems = [
            *objective_problems(experiment),
            *(not_repeatable(experiment) if config.search.ordered else []),
        ]
    if experiment is None or problems:
        raise ExperimentError("\n".join(f"{draft.where(path)}: {text}" for path, text in problems))
    return experiment


def _checked(values: dict[str, Any]) -> tuple[ExperimentConfig | None, list[Problem]]:
    """What the schema makes of these values, or what it finds wrong."""
    try:
        return ExperimentConfig.model_validate(_tuples(values)), []
    except ValidationError as error:
        return None, [explain(details) for details in error.errors()]


def _space_of(values: dict[str, Any]) -> tuple[Space | None, list[Problem]]:
    """The space, or what the schema does not see of it: whether conditions and values fit each other."""
    entries, model = values.get("space"), values.get("model")
    if not isinstance(entries, dict) or not entries:
        return None, []
    try:
        return parse_space(entries, model if isinstance(model, str) else None), []
    except ExperimentError as error:
        lines = (line.partition(": ") for line in str(error).split("\n"))
        return None, [(path, text) for path, _, text in lines]


def _leave_out_starts(draft: Draft, space: Space) -> list[str]:
    """Leave out the file's starts that overrides of the space exclude; returns a sentence about it.

    Nothing is left out of what was typed itself, nor of a file whose starts do not fit its own space.
    """
    starts = draft.values.get("start_with")
    if not isinstance(starts, list) or draft.is_typed("start_with"):
        return []
    paths = [path.split(".", 2) for path, _ in start_problems(space, starts)]
    excluded = {int(index) for _, index, _ in paths}
    names = list(dict.fromkeys(name for _, _, name in paths))
    if not excluded or not all(draft.is_typed(f"space.{name}") for name in names):
        return []
    draft.values["start_with"] = [start for index, start in enumerate(starts) if index not in excluded]
    return [
        f"start_with: {len(excluded)} of the {len(starts)} configurations in {draft.file} do not fit the "
        f"{' and '.join(names)} that --set gives the space, and are not tried."
    ]


def single(experiment: Experiment) -> Experiment:
    """The experiment as one full training of one configuration: every range gives way to its default."""
    values = dump(experiment)
    trained = _changed(
        experiment,
        space=dict(defaults(experiment.space)),
        search=values["search"] | {"trials": 1},
        scheduler={"kind": "none"},
    )
    return replace(trained, search_advice=())


def with_search(experiment: Experiment, changes: dict[str, Any]) -> Experiment:
    """The experiment with other values of its `search` section."""
    return _changed(experiment, search=dump(experiment)["search"] | changes)


def computing_in(experiment: Experiment, precision: Precision) -> Experiment:
    """The experiment with layers that compute in this precision, whatever its file says."""
    return _changed(experiment, training=dump(experiment)["training"] | {"precision": precision})


def _changed(experiment: Experiment, **sections: Any) -> Experiment:
    changed = restore(dump(experiment) | sections)
    return replace(changed, advice=experiment.advice, search_advice=experiment.search_advice)


def dump(experiment: Experiment) -> dict[str, Any]:
    """The experiment as JSON-serialisable builtins; `restore` reads them back."""
    return experiment.config.model_dump(mode="json")


def restore(values: dict[str, Any]) -> Experiment:
    """The inverse of `dump`, also for what earlier versions wrote.

    Raises:
        ExperimentError: this version knows no such experiment; one line for each problem, with the key path.
    """
    values, _, _ = modernised(values)
    if isinstance(values.get("scheduler"), dict):
        values["scheduler"] = with_own_keys(values["scheduler"])
    if isinstance(values.setdefault("training", {}), dict):
        values["training"] = with_precision(values["training"])
    config, problems = _checked(values)
    if config is None:
        raise ExperimentError("\n".join(f"{path}: {text}" for path, text in problems))
    return compile_experiment(config, parse_space(config.space, config.model))


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
