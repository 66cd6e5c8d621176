"""Experiments from built-in names, files and overrides, with every problem told at once."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import ExperimentError
from harness.experiment.advice import folds_advice, prior_advice, schedule_advice, unfreeze_advice
from harness.experiment.distributions import Constant
from harness.experiment.draft import Draft, draft_of
from harness.experiment.drawing import defaults
from harness.experiment.experiment import Experiment, compile_experiment
from harness.experiment.fitting import LeftOut, fit_to_overrides, without_effect
from harness.experiment.fixed_sizes import size_advice
from harness.experiment.model_paths import missing_models, with_absolute_paths
from harness.experiment.old_files import modernised, with_own_keys, with_precision, without_groups
from harness.experiment.parameters import CATALOG
from harness.experiment.picture_size import is_for_any_size, with_longest_side
from harness.experiment.problems import Problem, explain, not_repeatable, objective_problems
from harness.experiment.schema import ExperimentConfig
from harness.experiment.space import Alternative, Space
from harness.experiment.space_conditions import families_of, start_problems
from harness.experiment.space_file import parse_space
from harness.experiment.yaml_file import read_text
from harness.messages import and_list, shown
from harness.model.families import FAMILIES
from harness.records import Params, Precision


def builtin_folder() -> Path:
    """Where the shipped experiments are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "experiments"
    return inside if inside.is_dir() else package.parent / "experiments"


def builtin_names() -> list[str]:
    """The names that `harness sweep NAME` knows."""
    return sorted(file.stem for file in builtin_folder().glob("*.yaml"))


def is_built_in(file: Path) -> bool:
    """Whether an experiment's file is one of the shipped ones."""
    return file.parent == builtin_folder()


def load(name_or_path: str, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment, checked as a whole.

    Args:
        name_or_path: a built-in name, or the path of a YAML file.
        overrides: `key.path=value`, the value in YAML; later ones win.

    Raises:
        ExperimentError: one line for each problem, with file, line, key path, what was found, what is
            allowed, and the nearest valid name.
    """
    file = _find(name_or_path)
    return load_text(read_text(file), file, overrides)


def load_text(text: str, file: Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that stands, or will stand, in a file, checked as a whole.

    Args:
        text: of the file.
        file: its path, for messages.
        overrides: as of `load`.

    Raises:
        ExperimentError: as by `load`.
    """
    draft = draft_of(text, file)
    for override in overrides:
        draft.override(override)
    draft.values = with_absolute_paths(draft.values)
    draft.own_space = with_absolute_paths({"space": draft.own_space})["space"]
    left_out = fit_to_overrides(draft)
    draft.advice += without_effect(draft)
    space, more = _space_of(draft.values)
    search_advice = left_out.sentences()
    search_advice += _leave_out_starts(draft, space, left_out) if space is not None else []
    config, problems = _checked(draft.values)
    problems += more
    if space is not None:
        problems += [*missing_models(space), *start_problems(space, draft.values.get("start_with"))]
    experiment = None
    if config is not None and space is not None and not problems:
        config = config.model_copy(update={"dataset": with_longest_side(config.dataset, space)})
        draft.advice += unfreeze_advice(space, config.training.epochs, config.training.unfreeze_at)
        draft.advice += size_advice(space)
        search_advice += prior_advice(space, config.space, config.search.sampler)
        if config.dataset.folds is None:
            search_advice += schedule_advice(space, config.scheduler.kind)
        else:
            draft.advice += folds_advice(config.dataset, config.scheduler)
        experiment = replace(
            compile_experiment(config, space, draft.advice),
            search_advice=tuple(search_advice),
            for_small_pictures=is_built_in(draft.file) and not is_for_any_size(space),
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


def _leave_out_starts(draft: Draft, space: Space, left_out: LeftOut) -> list[str]:
    """Leave out the file's starts that overrides of the space exclude; returns a sentence about it.

    Nothing is left out of what was typed itself, nor of a file whose starts do not fit its own space.
    """
    starts = draft.values.get("start_with")
    if not isinstance(starts, list) or draft.is_typed("start_with"):
        return []
    paths = [path for path, _ in start_problems(space, starts)]
    own, _ = _space_of(draft.values | {"space": draft.own_space})
    never_fitted = {path for path, _ in start_problems(own, starts)} if own else set(paths)
    if not paths or never_fitted & set(paths):
        return []
    excluded = {int(path.split(".")[1]) for path in paths}
    names = dict.fromkeys(path.split(".", 2)[2] for path in paths)
    typed = [name for name in names if draft.is_typed(f"space.{name}")] or sorted(left_out.causes)
    draft.values["start_with"] = [start for index, start in enumerate(starts) if index not in excluded]
    return [
        f"start_with: {len(excluded)} of the {len(starts)} configurations in {draft.file} do not fit the "
        f"{and_list(typed)} that --set gives the space, and are not tried."
    ]


def single(experiment: Experiment) -> Experiment:
    """The experiment as one full training of one configuration: every range gives way to its default."""
    params = defaults(_for_one_family(experiment.space))
    useless = [] if experiment.model else [name for name in params if not _has_effect(name, params)]
    trained = changed(
        experiment,
        space={name: value for name, value in params.items() if name not in useless},
        search=dump(experiment)["search"] | {"trials": 1},
        scheduler={"kind": "none"},
    )
    left_out = [f"space.{name}: it has no effect on the family {_family(params)}." for name in useless]
    return replace(trained, advice=(*trained.advice, *left_out), search_advice=())


def _for_one_family(space: Space) -> Space:
    """The space with the family alone that has all parameters which are given without a condition.

    Where the default family has them all, or no family does, it is the space itself.
    """
    if space.model or "family" not in space.parameters:
        return space
    asked = [name for name, found in space.parameters.items() if not all(one.when for one in found)]
    families = [name for name in FAMILIES if name in families_of(space.parameters)]
    suited = [name for name in families if all(name in CATALOG[one].families for one in asked)]
    usual = defaults(space).get("family")
    if not suited or usual in suited:
        return space
    family = (Alternative("family", Constant(suited[0])),)
    return replace(space, parameters=space.parameters | {"family": family})


def _has_effect(name: str, params: Params) -> bool:
    return _family(params) in CATALOG[name].families


def _family(params: Params) -> str:
    return str(params.get("family", CATALOG["family"].default))


def with_search(experiment: Experiment, changes: dict[str, Any]) -> Experiment:
    """The experiment with other values of its `search` section."""
    return changed(experiment, search=dump(experiment)["search"] | changes)


def computing_in(experiment: Experiment, precision: Precision) -> Experiment:
    """The experiment with layers that compute in this precision, whatever its file says."""
    return changed(experiment, training=dump(experiment)["training"] | {"precision": precision})


def changed(experiment: Experiment, **sections: Any) -> Experiment:
    """The experiment with other sections, or keys, of its file; what is known of it beside the file stays."""
    found = restore(dump(experiment) | sections)
    return replace(
        found,
        advice=experiment.advice,
        search_advice=experiment.search_advice,
        for_small_pictures=experiment.for_small_pictures,
        proposed=experiment.proposed,
        overrides=experiment.overrides,
    )


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
    if isinstance(values.setdefault("dataset", {}), dict):
        values["dataset"] = without_groups(values["dataset"])
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
            f"{name_or_path} is a folder, not an experiment file. `harness init {name_or_path}` writes one "
            f"for the images in it, `harness sweep {name_or_path}` also runs it; to take a built-in "
            f"experiment for them, give --dataset {name_or_path}."
        )
    if not is_file:
        near = difflib.get_close_matches(name_or_path, names, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ExperimentError(
            f"There is no experiment {name_or_path!r}: neither a file or folder of that name nor one of the "
            f"built-in ones ({', '.join(names)}).{hint}"
        )
    return path


def _tuples(values: Any) -> Any:
    """A YAML list is what a strict schema calls a tuple, in the one place that has one."""
    dataset = values.get("dataset") if isinstance(values, dict) else None
    if isinstance(dataset, dict) and isinstance(dataset.get("image_size"), list):
        return values | {"dataset": dataset | {"image_size": tuple(dataset["image_size"])}}
    return values
