"""Images that look alike to a network: nearest by the features that it tells classes apart by."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import ServingError
from harness.paths import embeddings_file, graph_beside, make_folder, write_file
from harness.serving.embedding import Embedder, Embeddings, embedded
from harness.serving.inputs import Input
from harness.serving.nearest import compared, followed, graph_of, graphs_are_kept
from harness.serving.predictor import Predictor

LARGE = 100_000
"""Images beyond which a graph is made of them, if faiss is installed; else every search takes seconds."""


@dataclass(frozen=True, slots=True)
class Index:
    """The features of images."""

    files: tuple[Path, ...]
    features: Path
    """The file in the cache that keeps them."""
    errors: tuple[tuple[Path, str], ...]
    """Files that could not be read, and why."""

    @property
    def embeddings(self) -> Embeddings:
        """float32 (N, E), of length 1 each, in the order of the files.

        Raises:
            ServingError: what is kept of them is damaged, and is removed.
        """
        try:
            with np.load(self.features, allow_pickle=False) as stored:
                found: Embeddings = stored["embeddings"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            self.features.unlink(missing_ok=True)
            raise ServingError(
                f"The features that were kept in {self.features} are damaged, and were removed. Type the "
                "command again, which computes them anew."
            ) from error
        return found


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An image that looks like the query."""

    file: Path
    similarity: float
    """The cosine of the angle between the features, at most 1."""


def index_of(embedder: Embedder, inputs: Sequence[Input], seen: Callable[[int], object]) -> Index:
    """The features of files: from the cache if the model and the files are those of before.

    Args:
        embedder: with the model.
        inputs: the files; what is wrong with others is in the result.
        seen: told, again and again, how many more files were looked at.

    Raises:
        ServingError: none of the files can be read.
    """
    errors = [(one.path, one.error) for one in inputs if one.error]
    usable: list[Path] = []
    state = hashlib.sha256(_settings(embedder.model).encode())
    for path in (one.path for one in inputs if not one.error):
        try:
            state.update(_identity(path))
            usable.append(path)
        except OSError as error:
            errors.append((path, f"The file cannot be read: {error.strerror or error}."))
    target = embeddings_file(state.hexdigest())
    reasons = _kept(target, len(usable))
    if reasons is None:
        found, reasons = embedded(embedder, usable, seen)
        make_folder(target.parent)
        written = reasons
        write_file(target, lambda file: _write(file, found, written))
        graph_beside(target).unlink(missing_ok=True)
    else:
        seen(len(usable))
    errors += [(path, reason) for path, reason in zip(usable, reasons, strict=True) if reason]
    files = tuple(path for path, reason in zip(usable, reasons, strict=True) if not reason)
    if not files:
        raise ServingError(f"There is no image to compare with: {errors[0][0]}: {errors[0][1]}")
    return Index(files, target, tuple(errors))


def neighbours(
    index: Index,
    query: Embeddings,
    number: int,
    leave_out: Path | None = None,
    *,
    large: int = LARGE,
    seen: Callable[[int], object] = lambda _: None,
) -> list[Neighbour]:
    """The images most like a query, the likest first.

    Args:
        index: the images.
        query: features of length 1, float32 (E,).
        number: how many are wanted; no more than there are.
        leave_out: the query's own file, which is not compared with itself.
        large: more images than that are searched by a graph of them, if faiss is installed.
        seen: told, again and again, how many more images were added to a graph that has to be made.

    Raises:
        ServingError: what is kept of the features is damaged, or the graph cannot be written.
    """
    images = len(index.files)
    most = min(number + 1, images)
    if images > large and graphs_are_kept():
        graph = graph_of(graph_beside(index.features), images, lambda: index.embeddings, seen)
        places, similarities = followed(graph, query, most)
    else:
        places, similarities = compared(index.embeddings, query, most)
    found = [
        Neighbour(index.files[place], float(similarity))
        for place, similarity in zip(places, similarities, strict=True)
        if leave_out is None or not _same(index.files[place], leave_out)
    ]
    return found[:number]


def _settings(model: Predictor) -> str:
    """What decides features beside the files: the model, and how files are read."""
    known = model.source
    return f"1 {known.sha256} {known.image_shape} {known.pixel_range} {known.max_pixels}\n"


def _identity(file: Path) -> bytes:
    """What changes with a file's name, size or time; raises OSError."""
    stat = file.stat()
    return os.fsencode(file.absolute()) + f"\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode()


def _write(path: Path, embeddings: Embeddings, reasons: list[str]) -> None:
    with path.open("wb") as stream:
        np.savez(stream, embeddings=embeddings, reasons=np.str_(json.dumps(reasons)))


def _kept(path: Path, files: int) -> list[str] | None:
    """The reasons that `_write` wrote for so many files; None if there is nothing, or it is damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            reasons: list[str] = json.loads(str(stored["reasons"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return reasons if len(reasons) == files else None


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
