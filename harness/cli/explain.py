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
    from harness.cli.files import check_folder_of, content_of, reading, writing
    from harness.cli.tables import print_json
    from harness.data.sentences import as_text
    from harness.errors import UsageError
    from harness.paths import write_file
    from harness.serving.explain import explain as find
    from harness.serving.explain import picture_of
    from harness.serving.opening import model_at
    from harness.serving.predictor import predictor_of

    target = out or Path(f"{image.stem}-explained.png")
    check_folder_of(target)
    if target.suffix.lower() != ".png":
        raise UsageError(f"The picture is a PNG; let the name of --out end in .png, unlike {target}.")
    source = model_at(model)
    source.refuse_clips("harness explain")
    content = content_of(image)
    loaded = predictor_of(source)
    with reading(image):
        found = find(loaded, content, class_)
        picture = picture_of(loaded, content, found.heat)
    from PIL import Image

    with writing(target):
        write_file(target, lambda temporary: Image.fromarray(picture).save(temporary, "PNG"))
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
