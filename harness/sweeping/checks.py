"""Whether an experiment and its data fit the study that goes on, and each other."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from json import dumps
from typing import Any

from harness.audit.classes import IMBALANCE
from harness.data.sources import is_folder_or_archive, is_there
from harness.errors import ExperimentError, StudyError
from harness.experiment.experiment import Experiment
from harness.experiment.load import changed, dump
from harness.experiment.parameters import CATALOG
from harness.experiment.picture_size import SMALL_PICTURES
from harness.experiment.space_conditions import families_of
from harness.records import Dataset, Params
from harness.study.state import StudyState

DECIDE_RESULTS = ("dataset", "training", "objectives", "constraints", "scheduler", "seed", "confirmation")
"""The keys of an experiment that must not change under a study's feet."""


def check_same_experiment(experiment: Experiment, state: StudyState) -> None:
    """Raises ExperimentError if what decides results differs from what the study began with."""
    name = state.name
    # An older study says nothing of what there was no choice of yet.
    before, now = dump(state.experiment), dump(experiment)
    differing = [text for key in DECIDE_RESULTS for text in _changes(key, before[key], now[key])]
    if bool(state.started.window) != experiment.search.ordered:
        how = "with" if state.started.window else "without"
        raise ExperimentError(
            f"The study {name!r} was started {how} --ordered and can only go on like that. Go on with: "
            f"harness resume {name}"
        )
    if differing:
        raise ExperimentError(
            f"The study {name!r} was started with another experiment: {', '.join(differing)}. "
            f"Go on with the recorded one by `harness resume {name}`, or choose another --study name."
        )


def as_begun(experiment: Experiment, state: StudyState, note: Callable[[str], None]) -> Experiment:
    """The experiment as a study that goes on needs it, where its file says nothing.

    Its pictures are as large as they were, whatever its space would ask for by now, and are kept together as
    they were. And where a parameter was added to harness after the study began, new trials have the value
    that the first ones had.

    Args:
        experiment: whatever its file says.
        state: the study so far; one that has not begun asks for nothing.
        note: told the parameters.
    """
    if not state.has_begun:
        return experiment
    began = state.experiment.dataset
    kept = {
        name: getattr(began, name)
        for name in ("longest_side", "groups")
        if name not in experiment.dataset.model_fields_set
    }
    if kept:
        experiment = changed(experiment, dataset=dump(experiment)["dataset"] | kept)
    found = _with_constants(experiment, state.kept)
    for name in found.space.parameters.keys() - experiment.space.parameters.keys():
        note(f"{name}: {state.kept[name]} (as the study began)")
    return found


def _with_constants(experiment: Experiment, values: Params) -> Experiment:
    """The experiment with these values of parameters that its space does not name, for the families that have
    them."""
    known = experiment.space.parameters
    entries: dict[str, Any] = {}
    for name, value in values.items():
        families = sorted(families_of(known) & set(CATALOG[name].families))
        if families and name not in known:
            when = {"when": {"family": families}} if "family" in known else {}
            entries[name] = {"type": "constant", "value": value, **when}
    return changed(experiment, space=experiment.config.space | entries) if entries else experiment


def _changes(path: str, before: Any, now: Any) -> list[str]:
    """What differs between two values at a key path, in words; of mappings, each of their keys."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return (
            [f"{path} was {dumps(before, ensure_ascii=False)}, not {dumps(now, ensure_ascii=False)}"]
            if before != now
            else []
        )
    keys = [*before, *(key for key in now if key not in before)]
    return [text for key in keys for text in _changes(f"{path}.{key}", before.get(key), now.get(key))]


def check_data(experiment: Experiment, dataset: Dataset, state: StudyState) -> None:
    """Whether the data has what the objective needs, and is what the study began with.

    Raises:
        ExperimentError: there are no validation images, but the objective is measured on them.
        StudyError: the data has changed.
    """
    searching = experiment.search.trials > 1
    judged = dataset.folds or dataset.counts["validation"]
    if searching and experiment.objective.name.startswith("val_") and not judged:
        raise ExperimentError(
            f"The objective {experiment.objective.name} needs validation {dataset.noun}s, but "
            "dataset.validation_fraction is 0. Set it to 0.1, for example."
        )
    if state.has_begun and state.started.dataset.digest != dataset.digest:
        raise StudyError(
            f"The data set {dataset.name} has changed since this study began (its content digest differs), "
            "so its trials could not be compared. Start a new study."
        )
    recorded = state.started.dataset.split_digests if state.has_begun else {}
    differing = [part for part, digest in recorded.items() if dataset.split_digests.get(part) != digest]
    if differing:
        raise StudyError(
            f"The {dataset.noun}s of the data set {dataset.name} are divided otherwise than when this study "
            f"began (other {dataset.noun}s are in: {', '.join(differing)}), so its trials could not be "
            "compared. Their groups, or the paths that name them, must have changed. Start a new study."
        )
    _check_confirmed(experiment, dataset)


def _check_confirmed(experiment: Experiment, dataset: Dataset) -> None:
    """Raises StudyError if the data is not what the study was run on that is confirmed."""
    confirmed = experiment.confirmation
    if confirmed is None:
        return
    parts = confirmed.split_digests
    differing = [part for part, digest in parts.items() if dataset.split_digests.get(part) != digest]
    if differing or confirmed.data_digest != dataset.digest:
        where = "its content digest differs"
        if differing:
            where = f"other {dataset.noun}s are in: {', '.join(differing)}"
        raise StudyError(
            f"The data set {dataset.name} has changed since the study {confirmed.study} was run ({where}), "
            "so its configurations cannot be confirmed on it. Put it back as it was, or start a new study."
        )


def without_source(experiment: Experiment, state: StudyState) -> str:
    """What can be done with a study that has begun if its data set is not there any more; else nothing."""
    if not state.has_begun or is_there(experiment.dataset.source):
        return ""
    advice = f" Put it back where the study {state.name} found it, then: harness resume {state.name}."
    if any(trial.model for trial in state.trials.values()):
        advice += f" Models that are trained can be exported without it: harness export {state.name}"
    return advice


def imbalance(experiment: Experiment, dataset: Dataset) -> str | None:
    """Advice, where accuracy would reward ignoring rare classes."""
    counts = sorted((count, name) for name, count in dataset.class_counts.items())
    (fewest, rare), (most, common) = counts[0], counts[-1]
    if experiment.objective.name != "val_accuracy" or most < IMBALANCE * max(fewest, 1):
        return None
    return (
        f"The data set is imbalanced ({common}: {most:,} {dataset.noun}s, {rare}: {fewest:,}), so accuracy "
        "says little about rare classes. Consider --set objective.metric=val_f1_macro, and see the "
        "experiment `imbalanced`."
    )


def made_for_others(experiment: Experiment, height: int, width: int) -> str | None:
    """Advice, where a built-in experiment that was made for small pictures is to be run on larger ones.

    Args:
        experiment: what would be run.
        height: of the pictures, in pixels, as they are prepared.
        width: likewise.
    """
    if not experiment.for_small_pictures or max(height, width) <= SMALL_PICTURES:
        return None
    source = experiment.dataset.source
    init = f"harness init {shlex.quote(source)}" if is_folder_or_archive(source) else "harness init"
    return (
        f"The experiment {experiment.name} was made for small pictures, and these have {height}×{width} "
        f"pixels. `{init}` writes an experiment that fits them."
    )
