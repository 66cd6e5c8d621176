"""`harness explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import JsonOption, ModelArgument, OutOption


def explain(
    model: ModelArgument,
    image: Annotated[Path, typer.Argument(help="An image file.")],
    class_: Annotated[
        str | None,
        typer.Option("--class", help="The class that is explained; by default the most probable one."),
    ] = None,
    out: OutOption = None,
    json_: JsonOption = False,
) -> None:
    """Show where in an image the model found its class (Grad-CAM), as a picture beside the image."""
    from harness.cli.tables import print_json
    from harness.data.sentences import as_text
    from harness.errors import DataError, HarnessError, UsageError
    from harness.paths import write_file
    from harness.serving.explain import explain as find
    from harness.serving.explain import picture_of
    from harness.serving.opening import model_at
    from harness.serving.predictor import predictor_of

    target = out or Path(f"{image.stem}-explained.png")
    if not target.parent.is_dir():
        raise UsageError(f"The folder {target.parent} does not exist. Choose another --out.")
    if target.suffix.lower() != ".png":
        raise UsageError(f"The picture is a PNG; let the name of --out end in .png, unlike {target}.")
    source = model_at(model)
    source.refuse_clips("harness explain")
    try:
        content = image.read_bytes()
    except OSError as error:
        raise DataError(f"The image {image} cannot be read: {error.strerror}.") from error
    loaded = predictor_of(source)
    try:
        found = find(loaded, content, class_)
        picture = picture_of(loaded, content, found.heat)
    except DataError as error:
        raise DataError(f"{image}: {error}") from error
    from PIL import Image

    try:
        write_file(target, lambda temporary: Image.fromarray(picture).save(temporary, "PNG"))
    except OSError as error:
        raise HarnessError(
            f"{target} cannot be written ({error.strerror}). Choose another place with --out."
        ) from error
    if json_:
        print_json(
            {
                "file": as_text(str(image)),
                "class": found.guess.name,
                "probability": found.guess.probability,
                "top": [{"class": one.name, "probability": one.probability} for one in found.top],
                "layer": found.layer,
                "picture": as_text(str(target)),
            }
        )
        return
    typer.echo(
        f"{as_text(str(image))}: {found.guess.name} {found.guess.probability:.3f}, by the output of the "
        f"layer {found.layer}",
        err=True,
    )
    if not found.heat.any():
        typer.echo(f"Nothing in the image speaks for {found.guess.name}.", err=True)
    print(as_text(str(target)))
