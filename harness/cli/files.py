"""The files that commands are given and write, with sentences for what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def content_of(image: Path) -> bytes:
    """The bytes of an image file that a command was given.

    Raises:
        DataError: it cannot be read.
    """
    from harness.errors import DataError

    try:
        return image.read_bytes()
    except OSError as error:
        raise DataError(f"The image {image} cannot be read: {error.strerror}.") from error


def check_folder_of(target: Path) -> None:
    """Raises UsageError if there is no folder for the file that `--out` names."""
    from harness.errors import UsageError

    if not target.parent.is_dir():
        raise UsageError(f"The folder {target.parent} does not exist. Choose another --out.")


@contextmanager
def reading(image: Path) -> Iterator[None]:
    """Puts the image's name before what a DataError within the block says."""
    from harness.errors import DataError

    try:
        yield
    except DataError as error:
        raise DataError(f"{image}: {error}") from error


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Raises HarnessError instead of the OSError with which writing `target` fails within the block."""
    from harness.errors import HarnessError

    try:
        yield
    except OSError as error:
        raise HarnessError(
            f"{target} cannot be written ({error.strerror}). Choose another place with --out."
        ) from error
