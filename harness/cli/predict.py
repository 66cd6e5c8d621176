"""`harness predict`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import JsonOption, ModelArgument

EVERY, SMOOTH = 10, 5
"""Of the frames of a video, which are classified, and over how many of these classes are smoothed."""


def predict(
    model: ModelArgument,
    files: Annotated[
        list[str],
        typer.Argument(
            help="Images, videos or clips, folders of them, patterns such as 'photos/**/*.jpg', or - for "
            "paths on standard input."
        ),
    ],
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many classes of each file.")] = 3,
    threshold: Annotated[
        float,
        typer.Option("--threshold", min=0, max=1, help="Below this probability the answer is unsure."),
    ] = 0.0,
    every: Annotated[
        int | None,
        typer.Option(
            "--every",
            min=1,
            help="Of a video every so-many-th frame is classified, by a model of images.",
            show_default=str(EVERY),
        ),
    ] = None,
    smooth: Annotated[
        int | None,
        typer.Option(
            "--smooth",
            min=1,
            help="Classified frames over which a video's classes are smoothed.",
            show_default=str(SMOOTH),
        ),
    ] = None,
    json_: JsonOption = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, row by row as files are done.")] = False,
) -> None:
    """Classify images, videos or clips of any size and format, just as training has prepared them.

    A model of images classifies the frames of a video one by one; a model of clips (dataset.frames) takes
    each video or GIF as one, by frames that are spread evenly over its time.

    Files that cannot be read are reported and do not stop the rest; the exit code is then 1. Where folders
    have the names of classes, the accuracy is told, too.
    """
    import sys
    from dataclasses import asdict

    from harness.cli import printable
    from harness.cli.display.rate import RateDisplay
    from harness.cli.tables import print_agreement, print_csv, print_json, print_predictions
    from harness.data.not_data import CLIPS_WANTED, PICTURES_WANTED
    from harness.data.sentences import counted
    from harness.errors import UsageError
    from harness.serving.agreement import agreement
    from harness.serving.classify import Wanted, classify
    from harness.serving.inputs import STANDARD_INPUT, inputs_of
    from harness.serving.opening import model_at
    from harness.serving.predictor import predictor_of

    if json_ and csv:
        raise UsageError("--json and --csv exclude each other; choose one.")
    if files.count(STANDARD_INPUT) > 1:
        raise UsageError(f"{STANDARD_INPUT} stands for standard input, which can be read only once.")
    source = model_at(model)
    if source.frames and (every is not None or smooth is not None):
        raise UsageError(
            f"{source.name} takes {source.frames} frames of each clip, evenly over its time, and classifies "
            "the clip as one; leave --every and --smooth out."
        )
    top = min(top, len(source.classes))
    found = inputs_of(
        files,
        sys.stdin,
        source.classes,
        lambda note: typer.echo(printable(note), err=True),
        wanted=CLIPS_WANTED if source.frames else PICTURES_WANTED,
        videos=not source.frames,
    )
    # Paths that come one by one are classified as they come; otherwise it is known how many there are.
    inputs = found if STANDARD_INPUT in files else list(found)
    loaded = predictor_of(source)
    total = len(inputs) if isinstance(inputs, list) else None
    wanted = Wanted(top, threshold, every or EVERY, smooth or SMOOTH)
    with RateDisplay(total, bar=not (csv and sys.stdout.isatty()), noun=source.noun) as display:
        stream = classify(loaded, inputs, wanted, display.images)
        results = []
        for one in print_csv(stream, top) if csv else stream:
            results.append(one)
            display.file()
            if one.error:
                display.note(f"warning: {one.file}: {one.error}")
    compared = agreement(results, source.classes)
    if json_:
        print_json(
            {
                "model": source.name,
                "sha256": source.sha256,
                "classes": source.classes,
                "results": [one.as_dict() for one in results],
                "agreement": asdict(compared) if compared else None,
            }
        )
    elif not csv:
        print_predictions(results)
        if compared is not None:
            print_agreement(compared)
    wrong = sum(bool(one.error) for one in results)
    if compared is not None and compared.elsewhere:
        display.note(f"{counted(compared.elsewhere, 'file')} in no folder of a class: not counted.")
    display.note(display.said() + (f"; {counted(wrong, 'file')} with errors" if wrong else ""))
    if wrong:
        raise typer.Exit(1)
