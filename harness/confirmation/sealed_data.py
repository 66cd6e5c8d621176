"""The test images of a study's data, prepared again where the cache has lost them."""

from __future__ import annotations

from pathlib import Path

from harness.data.manifest import damaged_file
from harness.data.prepare import prepare
from harness.data.sealed import digest_of_test
from harness.errors import DataError, StudyError
from harness.paths.prepared import MANIFEST
from harness.records import Dataset, Progress
from harness.study.state import StudyState


def sealed_data(state: StudyState, progress: Progress) -> tuple[Dataset, str]:
    """The study's prepared data, whole and with the test images that it began with.

    Args:
        state: of a study that has begun.
        progress: told while images are decoded, if they have to be.

    Returns:
        The data, and the SHA-256 (hex) of its test images and their labels.

    Raises:
        DataError: it is neither in the cache nor where the study found it.
        StudyError: it is not what the study began with, or has no test images.
    """
    recorded = state.started.dataset
    if not recorded.counts["test"]:
        raise StudyError(
            f"The data set {recorded.name} has no test {recorded.noun}s: none were held out "
            "(dataset.test_fraction is 0), and it brings none. A new study with --set "
            "dataset.test_fraction=0.15 holds some out."
        )
    known = _kept(recorded)
    if known is not None:
        return recorded, known
    try:
        again = prepare(state.experiment.dataset, seed=state.experiment.seed, progress=progress)
    except DataError as error:
        raise DataError(
            f"{error} What the study {state.name} had prepared of it is gone from {recorded.folder} too. Put "
            "the data set back where the study found it, and type the command again."
        ) from error
    found = digest_of_test(again)
    sealed = recorded.split_digests.get("test", found)
    if (again.digest, found) != (recorded.digest, sealed):
        raise StudyError(
            f"The data set {again.name} has changed since the study {state.name} began (its content digest "
            f"differs), so its test {again.noun}s are not those that were sealed. Put back what it was."
        )
    return again, found


def _kept(dataset: Dataset) -> str | None:
    """The digest of the test images, if the prepared data is there and is what was recorded."""
    folder = Path(dataset.folder)
    if not (folder / MANIFEST).is_file() or damaged_file(folder) is not None:
        return None
    try:
        found = digest_of_test(dataset)
    except DataError:
        return None
    return found if dataset.split_digests.get("test", found) == found else None
