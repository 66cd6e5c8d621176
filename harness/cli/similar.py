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
    from harness.cli.files import check_folder_of, content_of, reading, writing
    from harness.cli.tables import print_json, print_neighbours
    from harness.data.sentences import as_text
    from harness.errors import UsageError
    from harness.serving.embedding import Embedder
    from harness.serving.inputs import inputs_of
    from harness.serving.opening import model_at
    from harness.serving.predictor import predictor_of
    from harness.serving.similar import LARGE, index_of, neighbours
    from harness.serving.similar_page import write_page

    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}. Name one with --in.")
    target = out or Path(f"{query.stem}-similar.html")
    check_folder_of(target)
    source = model_at(model)
    source.refuse_clips("harness similar")
    content = content_of(query)
    loaded = predictor_of(source)
    with reading(query):
        pixels = loaded.prepare(content)
    embedder = Embedder(loaded)
    inputs = list(
        inputs_of([str(folder)], (), (), lambda note: typer.echo(printable(note), err=True), videos=False)
    )
    with RateDisplay(len(inputs), bar=True, doing="reading") as display:
        index = index_of(embedder, inputs, display.images_of_files)
        for file, reason in index.errors:
            display.note(f"warning: {file}: {reason}")
    if len(index.files) > LARGE:
        typer.echo(f"{len(index.files):,} images are many: {_how_many_are_searched()}", err=True)
    with RateDisplay(len(index.files), bar=len(index.files) > LARGE, doing="indexing") as display:
        likest = neighbours(
            index, embedder(pixels[None])[0], top, leave_out=query, seen=display.images_of_files
        )
    with writing(target):
        write_page(target, source, query, folder, len(index.files), likest)
    if json_:
        print_json(
            {
                "query": as_text(str(query)),
                "images": len(index.files),
                "found": [{"file": as_text(str(one.file)), "similarity": one.similarity} for one in likest],
                "errors": [{"file": as_text(str(file)), "error": reason} for file, reason in index.errors],
                "page": as_text(str(target)),
            }
        )
    else:
        print_neighbours(likest, target)
    if index.errors:
        raise typer.Exit(1)


def _how_many_are_searched() -> str:
    from harness.serving.nearest import graphs_are_kept

    if graphs_are_kept():
        return "a graph of them is made once, which takes minutes, and kept for every later search."
    return (
        "each is compared, so that a search takes seconds. With faiss a graph of them is kept, which makes "
        "it faster: pip install 'harness[similar]'"
    )
