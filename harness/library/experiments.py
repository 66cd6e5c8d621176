"""Experiments for notebooks and scripts."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from typing import Any, Literal

from harness.experiment.experiment import Experiment
from harness.experiment.overrides import NO_LIMIT, options, override
from harness.library.progress import LOGGER
from harness.proposal.chosen import chosen


def load(
    experiment: str | os.PathLike[str] = "quickstart",
    *,
    trials: int | None = None,
    dataset: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    timeout: float | Literal["none"] | None = None,
    target: float | Literal["none"] | None = None,
    patience: int | Literal["none"] | None = None,
    min_gain: float | None = None,
    max_epochs_total: int | Literal["none"] | None = None,
    ordered: bool | None = None,
    set: Mapping[str, Any] | None = None,  # named as the command line's --set
) -> Experiment:
    """Read an experiment and check it as a whole; nothing is run.

    What is not given is as in the experiment's file. Options have the names and the meaning of those of the
    command line.

    Args:
        experiment: a built-in experiment, such as `quickstart` or `cifar10`, the path of a YAML file, or
            data, such as a folder of images, for which one is written as by `harness init`: what was decided
            goes to the logger `harness`. A study keeps the file, and `harness.sweep` goes on with that one.
        trials: the study's total of trials.
        dataset: a data set's name, or the path of a folder of images, an archive of one, a list or an `.npz`.
        epochs: of a full training.
        timeout: seconds of all the study's sessions together, until `harness.sweep` returns; "none"
            lifts the file's limit, here and below.
        target: a score that is good enough to end the sweep.
        patience: trials in a row without improvement after which the sweep ends.
        min_gain: what counts as an improvement for `patience`.
        max_epochs_total: epochs of all trials together after which the sweep ends.
        ordered: decide in a fixed order, so that the whole study can be repeated exactly.
        set: any keys of the experiment's file with their values, such as `{"space.depth": [2, 3]}`; the
            options above win.

    Returns:
        The experiment, for `harness.sweep`.

    Raises:
        HarnessError: something is wrong with the experiment; one line for each problem.
    """
    given = options(
        trials=trials,
        dataset=None if dataset is None else os.fspath(dataset),
        epochs=epochs,
        timeout=timeout,
        target=target,
        patience=patience,
        min_gain=min_gain,
        max_epochs_total=max_epochs_total,
        ordered=ordered,
    )
    overrides = [override(key, value) for key, value in (set or {}).items()]
    limit = math.inf if timeout == NO_LIMIT else timeout
    loaded = chosen(
        os.fspath(experiment),
        [*overrides, *given],
        tell=LOGGER.info,
        limit=None if limit is None else float(limit),
    )
    for sentence in loaded.advice:
        warnings.warn(sentence, stacklevel=2)
    for sentence in loaded.search_advice:
        LOGGER.info(sentence)
    return loaded
