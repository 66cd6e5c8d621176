"""`harness audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.files import check_folder_of, writing
from harness.cli.options import JsonOption, OutOption, SetOption


def audit(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of images (or a .zip or .tar of one), a .csv, an .npz, or a known name such as "
            "digits; or an experiment, whose data set and splits are meant."
        ),
    ],
    out: OutOption = None,
    suspects: Annotated[
        bool | None,
        typer.Option(
            "--suspects/--no-suspects",
            help="Look for images that seem to be mislabelled, however long it takes, or do not.  "
            "\\[default: where it takes about a minute]",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Exit 1 on an error: a leak, a conflict, or data that a sweep would refuse."
        ),
    ] = False,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Look at every image of a data set for what spoils results: leaks, conflicts, broken files and more.

    What was found is printed, and written as a page with thumbnails that opens anywhere.
    """
    from harness.audit.audit import audit as look
    from harness.audit.described import described
    from harness.audit.page import write_page
    from harness.cli.display import open_display
    from harness.cli.tables import print_audit, print_json
    from harness.proposal.chosen import dataset_of
    from harness.proposal.decision import experiment_name

    if out is not None:
        check_folder_of(out)
    config, seed = dataset_of(source, set_ or [])
    with open_display() as display:
        found = look(config, seed, suspects=suspects, progress=display.progress, tell=display.note)
    target = out or Path(f"{experiment_name(found.facts.name)}-audit.html")
    with writing(target):
        write_page(found, target)
    if json_:
        print_json(described(found) | {"page": str(target)})
    else:
        print_audit(found, target)
    if strict and found.number("error"):
        raise typer.Exit(1)
