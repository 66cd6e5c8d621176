"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

ExperimentArgument = Annotated[
    str,
    typer.Argument(
        help="A built-in experiment (quickstart, cifar10, baseline) or the path of a YAML file.",
        show_default=True,
    ),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        "-d",
        help="digits, cifar10, cifar100, mnist, fashion_mnist, a folder of images (or a .zip or .tar of "
        "one), a .csv or an .npz.",
    ),
]
EpochsOption = Annotated[int | None, typer.Option("--epochs", "-e", min=1, help="Epochs of a full training.")]
RecheckOption = Annotated[
    bool,
    typer.Option(
        "--recheck",
        help="Read all files of the data set again, instead of trusting their sizes and times.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Override any key of the experiment file, such as dataset.image_size=64; may be repeated.",
    ),
]
StudyOption = Annotated[
    str | None,
    typer.Option("--study", help="The study's name: made if new, gone on with if it exists."),
]


def _check_workers(text: str | None) -> str | None:
    if text is None or text == AUTO or (text.isdecimal() and 1 <= int(text) <= MOST_WORKERS):
        return text
    raise typer.BadParameter(f"{text!r} is neither {AUTO} nor a number from 1 to {MOST_WORKERS:,}.")


AUTO = "auto"
MOST_WORKERS = 1024
WorkersOption = Annotated[
    str | None,
    typer.Option(
        "--workers",
        "-w",
        metavar="N|auto",
        callback=_check_workers,
        help="Worker processes; by default one per GPU or core. auto: the number that trains fastest, "
        "measured once for this machine and kind of network.",
    ),
]
StudyArgument = Annotated[
    str | None, typer.Argument(help="The study's name; by default the one last active.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write.")]


def number_of_workers(text: str | None) -> int | Literal["auto"] | None:
    """What `--workers` says."""
    return "auto" if text == AUTO else int(text) if text else None


def overrides(settings: list[str] | None, **options: object) -> list[str]:
    """`--set` and dedicated options as `key=value` overrides; the dedicated ones win.

    Args:
        settings: what was given with `--set`.
        options: values by key, with `__` for the dots; None where the option was not given.
    """
    import json

    named = [
        # JSON is YAML, and quotes text whatever it looks like.
        f"{key.replace('__', '.')}={json.dumps(value, ensure_ascii=False)}"
        for key, value in options.items()
        if value is not None
    ]
    return [*(settings or []), *named]
