"""Whether an experiment and its data fit the study that goes on, and each other."""

from __future__ import annotations

from json import dumps
from typing import Any

from harness.data.sources import is_there
from harness.errors import ExperimentError, StudyError
from harness.experiment.experiment import Experiment
from harness.experiment.load import dump
from harness.records import Dataset
from harness.study.state import StudyState

DECIDE_RESULTS = ("dataset", "training", "objectives", "constraints", "scheduler", "seed")
"""The keys of an experiment that must not change under a study's feet."""
IMBALANCE = 3
"""The largest class over the smallest, from which accuracy is a poor objective."""


def check_same_experiment(experiment: Experiment, state: StudyState) -> None:
    """Raises ExperimentError if what decides results differs from what the study began with."""
    name = state.name
    # An older study says nothing of what there was no choice of yet.
    before, now = dump(state.experiment), dump(experiment)
    changed = [text for key in DECIDE_RESULTS for text in _changes(key, before[key], now[key])]
    if bool(state.started.window) != experiment.search.ordered:
        how = "with" if state.started.window else "without"
        raise ExperimentError(
            f"The study {name!r} was started {how} --ordered and can only go on like that. Go on with: "
            f"harness resume {name}"
        )
    if changed:
        raise ExperimentError(
            f"The study {name!r} was started with another experiment: {', '.join(changed)}. "
            f"Go on with the recorded one by `harness resume {name}`, or choose another --study name."
        )


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
    if searching and experiment.objective.name.startswith("val_") and not dataset.counts["validation"]:
        raise ExperimentError(
            f"The objective {experiment.objective.name} needs validation images, but "
            "dataset.validation_fraction is 0. Set it to 0.1, for example."
        )
    if state.has_begun and state.started.dataset.digest != dataset.digest:
        raise StudyError(
            f"The data set {dataset.name} has changed since this study began (its content digest differs), "
            "so its trials could not be compared. Start a new study."
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
        f"The data set is imbalanced ({common}: {most:,} images, {rare}: {fewest:,}), so accuracy says "
        "little about rare classes. Consider --set objective.metric=val_f1_macro, and see the experiment "
        "`imbalanced`."
    )
