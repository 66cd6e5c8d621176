"""The nearest of many features: each compared by scikit-learn, or by a graph of faiss that is kept.

The graph is that of Malkov and Yashunin 2016 (HNSW, arXiv:1603.09320). A search follows it from neighbour to
neighbour, and compares the query with a small part of the features.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.errors import ServingError
from harness.paths import lack_of_room, write_file
from harness.serving.embedding import Embeddings

LINKS = 32
"""Neighbours of each node of the graph, on each of its levels."""
CANDIDATES_BUILDING = 80
"""Nodes that are looked at for those of a new one."""
CANDIDATES = 256
"""Nodes that a search keeps at least, the nearest so far: the more, the fewer of the nearest are missed."""
AT_ONCE = 1000
"""Features that are added to a graph between two words of progress."""

Found: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Rows of the nearest, the nearest first, and the cosine of the angle between each and the query."""


def graphs_are_kept() -> bool:
    """Whether faiss is installed."""
    return find_spec("faiss") is not None


def compared(embeddings: Embeddings, query: Embeddings, number: int) -> Found:
    """The nearest of all, each of which is compared.

    Args:
        embeddings: float32 (N, E), of length 1 each.
        query: likewise, float32 (E,).
        number: how many are wanted, at most N.
    """
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=number, metric="cosine").fit(embeddings)
    distances, places = search.kneighbors(query[None])
    return places[0], (1 - distances[0]).astype(np.float32)


def followed(graph: Any, query: Embeddings, number: int) -> Found:
    """The nearest that a graph leads to, which are all but always the nearest of all.

    Args:
        graph: as `graph_of` gives it.
        query: float32 (E,), of length 1.
        number: how many are wanted, at most as many as are in the graph.
    """
    faiss = _faiss()
    wide = faiss.SearchParametersHNSW(efSearch=max(CANDIDATES, 2 * number))
    squares, places = graph.search(np.ascontiguousarray(query[None]), number, params=wide)
    reached = places[0] >= 0
    return places[0][reached], 1 - squares[0][reached] / 2  # of vectors of length 1


def graph_of(file: Path, images: int, read: Callable[[], Embeddings], seen: Callable[[int], object]) -> Any:
    """The graph of some features: what is kept in a file, else one that is made, and kept there.

    Args:
        file: of the graph.
        images: how many features there are.
        read: gives them, float32 (N, E), of length 1 each; called only if the graph has to be made.
        seen: told, again and again, how many more features were added to it.

    Raises:
        ServingError: the graph cannot be written.
    """
    faiss = _faiss()
    known = _kept(file, images)
    if known is not None:
        return known
    embeddings = read()
    graph = faiss.IndexHNSWFlat(embeddings.shape[1], LINKS)
    graph.hnsw.efConstruction = CANDIDATES_BUILDING
    for start in range(0, images, AT_ONCE):
        some = embeddings[start : start + AT_ONCE]
        graph.add(np.ascontiguousarray(some))
        seen(len(some))
    try:
        write_file(file, lambda temporary: faiss.write_index(graph, str(temporary)))
    except (RuntimeError, OSError) as error:  # faiss raises the first
        reason = lack_of_room(error) or str(error).rsplit(": ", 1)[-1]
        raise ServingError(
            f"The index of the images cannot be written to {file.parent} ({reason}). Make room there, or set "
            "HARNESS_CACHE to another place."
        ) from error
    return graph


def _kept(file: Path, images: int) -> Any:
    """The graph in a file, which is read only as far as it is needed; None if there is none of so many."""
    faiss = _faiss()
    if not file.is_file():
        return None
    try:
        graph = faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError:  # it is damaged
        return None
    return graph if isinstance(graph, faiss.IndexHNSWFlat) and graph.ntotal == images else None


def _faiss() -> Any:
    """The library, whose own hints leave out much of it."""
    return import_module("faiss")
