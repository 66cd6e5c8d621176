"""Similar images as one self-contained HTML page with thumbnails: no script, no network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from harness.paths import write_text
from harness.serving.similar import Neighbour
from harness.serving.source import ModelSource
from harness.serving.views import data_uri, view_of

SIDE = 160
"""Pixels of a thumbnail's longer side."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """An image on the page."""

    file: str
    """Its path."""
    name: str
    """What it is called beneath its thumbnail."""
    thumbnail: str
    """A `data:` URI; empty if the file has gone since."""
    remark: str


def write_page(
    target: Path, source: ModelSource, query: Path, where: Path, images: int, found: Sequence[Neighbour]
) -> None:
    """Write the page.

    Args:
        target: the file.
        source: the model that has compared the images.
        query: the image that others are like.
        where: the folder that was searched.
        images: how many there are in it.
        found: those that are shown, the likest first.

    Raises:
        OSError: it cannot be written.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("similar.html.jinja").render(
        query=_shown(query, query.name, source, ""),
        found=[_shown(one.file, _below(where, one.file), source, f"{one.similarity:.3f}") for one in found],
        images=images,
        where=_text(where),
        model=source.name,
        made=time.strftime("%Y-%m-%d %H:%M"),
    )
    write_text(target, page)


def _below(folder: Path, file: Path) -> Path:
    """A file's name within a folder; a link may have led elsewhere."""
    return file.relative_to(folder) if file.is_relative_to(folder) else file


def _text(name: Path | str) -> str:
    """The name with what is no UTF-8 in it made visible."""
    return str(name).encode("utf-8", "backslashreplace").decode("utf-8")


def _shown(file: Path, name: Path | str, source: ModelSource, remark: str) -> _Shown:
    try:
        thumbnail = data_uri(view_of(file.read_bytes(), source, SIDE))
    except (OSError, DataError):
        thumbnail = ""
    return _Shown(_text(file), _text(name), thumbnail, remark)
