"""The experiment that a command names: a file, a built-in one, or one that is written for data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from harness.data.sources import is_there
from harness.data.sources.kind import path_of
from harness.errors import DataError, ExperimentError, UsageError
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.experiment import Experiment
from harness.experiment.load import builtin_names, load, load_text
from harness.experiment.overrides import override
from harness.experiment.yaml_file import read_text
from harness.messages import shown
from harness.paths import StudyPaths
from harness.proposal.decisions import Proposal, propose
from harness.proposal.file import as_yaml, decided, quoted
from harness.proposal.means import means
from harness.proposal.survey import survey
from harness.study.names import check_name

DATA = "dataset."
"""What the keys of overrides begin with that say how data is read."""


def chosen(
    given: str,
    overrides: Sequence[str],
    *,
    tell: Callable[[str], object],
    study: str | None = None,
    limit: float | None = None,
) -> Experiment:
    """The experiment of a built-in name or a file; or one that fits the data at a path, written for it.

    Args:
        given: what the user names.
        overrides: as of `harness.experiment.load.load`; those of `dataset` also say how the data is read.
        tell: told what was found and decided, a sentence at a time.
        study: a study that keeps the file that was written for it goes on with that one.
        limit: seconds that the user gives to the search, infinity if it is to have no limit; None: as many as
            it needs.

    Raises:
        HarnessError: as by `load`, or because the data cannot be used.
    """
    kept = StudyPaths.of(check_name(study)).experiment if study else None
    if kept is not None and kept.is_file() and not _is_experiment(given):
        return _kept(kept, given, overrides)
    if not is_data(given):
        if given in builtin_names() and path_of(given).is_dir():
            tell(f"{given} is the built-in experiment; for the folder of that name, give ./{given}.")
        return load(given, overrides)
    proposal = proposal_for(given, overrides, limit)
    for sentence in decided(proposal):
        tell(sentence)
    text = as_yaml(proposal, [f"harness init {quoted(given)}"])
    found = load_text(text, Path("experiment.yaml"), overrides)
    return replace(found, proposed=text, overrides=tuple(overrides))


def as_kept(experiment: Experiment, study: str) -> Experiment:
    """The experiment with which a study goes on that is given one that was written for data.

    What fits the data is decided anew each time, by what is known of the machine by then. So it is the file
    that the study keeps, if it keeps one, with what was given beside the data.

    Args:
        experiment: any one; without a proposal it is itself what is meant.
        study: its name.

    Raises:
        HarnessError: the study searches on other data, or what was given does not fit its file.
    """
    file = StudyPaths.of(check_name(study)).experiment
    if not experiment.proposed or not file.is_file():
        return experiment
    return _kept(file, experiment.dataset.source, experiment.overrides)


def is_data(given: str) -> bool:
    """Whether a name or path is data, and neither a built-in experiment nor an experiment file."""
    return given not in builtin_names() and is_there(given)


def dataset_of(given: str, overrides: Sequence[str]) -> tuple[DatasetConfig, int]:
    """The data set that a sweep would use: how it is read and split, and the seed of the split.

    Args:
        given: as of `chosen`.
        overrides: as of `chosen`.

    Raises:
        HarnessError: as by `chosen`, but for data that a sweep would refuse.
    """
    try:
        experiment = chosen(given, overrides, tell=lambda _: None)
    except DataError:
        if not is_data(given):
            raise
        own = [text for text in overrides if text.strip().startswith(DATA)]
        experiment = load("quickstart", [override("dataset.source", given), *own])
    return experiment.dataset, experiment.seed


def proposal_for(source: str, overrides: Sequence[str] = (), limit: float | None = None) -> Proposal:
    """What fits a data set on this machine.

    Args:
        source: a path, or a name from the catalog.
        overrides: as of `harness.experiment.load.load`; those of `dataset` say how the data is read.
        limit: as of `chosen`.

    Raises:
        HarnessError: the data cannot be used, or an override is wrong.
    """
    config = _dataset(source, overrides)
    try:
        looked = survey(config)
    except DataError as error:
        raise DataError(f"{error}{_files_in(source)}") from error
    return propose(looked, means(), limit)


def _is_experiment(given: str) -> bool:
    return given in builtin_names() or (Path(given).is_file() and not is_there(given))


def _dataset(source: str, overrides: Sequence[str]) -> DatasetConfig:
    """The `dataset` section with the source and with what overrides say of it.

    Raises:
        UsageError: they name another data set.
    """
    own = [text for text in overrides if text.strip().startswith(DATA)]
    # Any experiment will do: of its own section it says the source alone.
    config = load("quickstart", [override("dataset.source", source), *own]).dataset
    _refuse_two(source, config)
    return config


def _refuse_two(source: str, config: DatasetConfig) -> None:
    if not _same(source, config.source):
        raise UsageError(
            f"Two data sets are named, {shown(source)} and {shown(config.source)}. Name one; or an "
            "experiment, and the data set with --dataset."
        )


def _same(one: str, other: str) -> bool:
    """Whether two texts name the same data set."""
    return one == other or path_of(one).resolve() == path_of(other).resolve()


def _kept(file: Path, given: str, overrides: Sequence[str]) -> Experiment:
    """The experiment that a study keeps, which was written for the data that is named again."""
    text = read_text(file)
    source = load_text(text, file).dataset.source
    if not _same(source, given):
        raise UsageError(
            f"The study {file.parent.name} searches on {shown(source)}, not on {shown(given)}. Choose "
            "another --study name."
        )
    experiment = load_text(text, file, overrides)
    _refuse_two(given, experiment.dataset)
    return experiment


def _files_in(source: str) -> str:
    """A sentence that names the experiment files in a folder that is of no use as data."""
    try:
        folder = path_of(source)
        files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]) if folder.is_dir() else []
        named = [file for file in files if _loads(file)]
    except OSError:
        return ""
    return f" There is an experiment file in it: harness sweep {named[0]}" if named else ""


def _loads(file: Path) -> bool:
    try:
        load(str(file))
    except ExperimentError:
        return False
    return True
