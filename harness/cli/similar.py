"""`harness similar`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import JsonOption, ModelArgument, OutOption


def similar(
    model: ModelArgument,
    query: Annotated[Path, typer.Argument(help="An image file.")],
    folder: Annotated[
        Path, typer.Option("--in", help="The folder whose images are searched, with all folders inside.")
    ],
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many images.")] = 12,
    out: OutOption = None,
    json_: JsonOption = False,
) -> None:
    """Find the images of a folder that look most like another one, as a table and a page of thumbnails.

    Images are compared by the features by which the model tells its classes apart. They are computed once and
    kept in the cache, until the model or a file changes.
    """
    from harness.cli import printable
    from harness.cli.display.rate import RateDisplay
    from harness.cli.tables import print_json, print_neighbours
    from harness.data.sentences import as_text
    from harness.errors import DataError, HarnessError, UsageError
    from harness.serving.inputs import inputs_of
    from harness.serving.opening import model_at
    from harness.serving.predictor import predictor_of
    from harness.serving.similar import LARGE, Embedder, index_of, neighbours
    from harness.serving.similar_page import write_page

    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}. Name one with --in.")
    target = out or Path(f"{query.stem}-similar.html")
    if not target.parent.is_dir():
        raise UsageError(f"The folder {target.parent} does not exist. Choose another --out.")
    source = model_at(model)
    source.refuse_clips("harness similar")
    try:
        content = query.read_bytes()
    except OSError as error:
        raise DataError(f"The image {query} cannot be read: {error.strerror}.") from error
    loaded = predictor_of(source)
    try:
        pixels = loaded.prepare(content)
    except DataError as error:
        raise DataError(f"{query}: {error}") from error
    embedder = Embedder(loaded)
    inputs = list(
        inputs_of([str(folder)], (), (), lambda note: typer.echo(printable(note), err=True), videos=False)
    )
    if len(inputs) > LARGE:
        typer.echo(f"{len(inputs):,} images are many: each is compared, so a search takes seconds.", err=True)
    with RateDisplay(len(inputs), bar=True) as display:
        index = index_of(embedder, inputs, display.images)
        for file, reason in index.errors:
            display.note(f"warning: {file}: {reason}")
    found = neighbours(index, embedder(pixels[None])[0], top, leave_out=query)
    try:
        write_page(target, source, query, str(folder), len(index.files), found)
    except OSError as error:
        raise HarnessError(
            f"{target} cannot be written ({error.strerror}). Choose another place with --out."
        ) from error
    if json_:
        print_json(
            {
                "query": as_text(str(query)),
                "images": len(index.files),
                "found": [{"file": as_text(str(one.file)), "similarity": one.similarity} for one in found],
                "errors": [{"file": as_text(str(file)), "error": reason} for file, reason in index.errors],
                "page": as_text(str(target)),
            }
        )
    else:
        print_neighbours(found, target)
    if index.errors:
        raise typer.Exit(1)
