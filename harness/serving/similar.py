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
import numpy.typing as npt

from harness.errors import DataError, ServingError
from harness.paths import embeddings_file, make_folder, write_file
from harness.serving.classify import batch_size
from harness.serving.inputs import Input
from harness.serving.layers import embedding_tensor
from harness.serving.predictor import Images, Predictor

LARGE = 100_000
"""Images beyond which every search takes seconds, since each one is compared."""

Embeddings = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Index:
    """The features of images."""

    files: tuple[Path, ...]
    embeddings: Embeddings
    """float32 (N, E), of length 1 each."""
    errors: tuple[tuple[Path, str], ...]
    """Files that could not be read, and why."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An image that looks like the query."""

    file: Path
    similarity: float
    """The cosine of the angle between the features, at most 1."""


class Embedder:
    """From pixels to features."""

    def __init__(self, model: Predictor) -> None:
        """`model`: whose network is used; raises ServingError if it has no features."""
        import keras

        self.model = model
        self._network = keras.Model(model.network.input, embedding_tensor(model.network))

    def __call__(self, images: Images) -> Embeddings:
        """Features float32 (N, E), of length 1 each, of pixels uint8 (N, H, W, C)."""
        found = self._network(images.astype(np.float32), training=False).numpy().astype(np.float32)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        unit: Embeddings = found / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit


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
    kept = _kept(target, len(usable))
    if kept is None:
        found, reasons = _embedded(embedder, usable, seen)
        make_folder(target.parent)
        write_file(target, lambda file: _write(file, found, reasons))
    else:
        found, reasons = kept
        seen(len(usable))
    errors += [(path, reason) for path, reason in zip(usable, reasons, strict=True) if reason]
    files = tuple(path for path, reason in zip(usable, reasons, strict=True) if not reason)
    if not files:
        raise ServingError(f"There is no image to compare with: {errors[0][0]}: {errors[0][1]}")
    return Index(files, found, tuple(errors))


def neighbours(
    index: Index, query: Embeddings, number: int, leave_out: Path | None = None
) -> list[Neighbour]:
    """The images most like a query, the likest first.

    Args:
        index: the images.
        query: features of length 1, float32 (E,).
        number: how many are wanted; no more than there are.
        leave_out: the query's own file, which is not compared with itself.
    """
    from sklearn.neighbors import NearestNeighbors

    most = min(number + 1, len(index.files))
    search = NearestNeighbors(n_neighbors=most, metric="cosine").fit(index.embeddings)
    distances, places = search.kneighbors(query[None])
    found = [
        Neighbour(index.files[place], 1 - float(distance))
        for distance, place in zip(distances[0], places[0], strict=True)
        if leave_out is None or not _same(index.files[place], leave_out)
    ]
    return found[:number]


def _embedded(
    embedder: Embedder, files: Sequence[Path], seen: Callable[[int], object]
) -> tuple[Embeddings, list[str]]:
    """Features of the files that can be read, and for every file why it cannot be, empty if it can."""
    size, reasons = batch_size(embedder.model.example_shape), []
    parts: list[Embeddings] = []
    for start in range(0, len(files), size):
        pixels = []
        for file in files[start : start + size]:
            try:
                pixels.append(embedder.model.prepare(file.read_bytes()))
                reasons.append("")
            except DataError as error:
                reasons.append(str(error))
            except OSError as error:
                reasons.append(f"The file cannot be read: {error.strerror or error}.")
        if pixels:
            parts.append(embedder(np.stack(pixels)))
        seen(len(files[start : start + size]))
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32), reasons


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


def _kept(path: Path, files: int) -> tuple[Embeddings, list[str]] | None:
    """What `_write` wrote for so many files; None if there is nothing, or it is damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            embeddings, reasons = stored["embeddings"], json.loads(str(stored["reasons"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if len(reasons) != files or len(embeddings) != reasons.count("") or embeddings.ndim != 2:
        return None
    return embeddings, reasons


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
