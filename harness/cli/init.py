"""`harness init`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import printable
from harness.cli.files import check_folder_of, writing
from harness.cli.options import JsonOption, OutOption, SetOption, TimeoutOption, seconds_of


def init(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of images (or a .zip or .tar of one), a .csv, an .npz, or a known name such as "
            "digits."
        ),
    ],
    out: OutOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    timeout: TimeoutOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Look at images and write an experiment file that fits them, with the reasons; nothing is trained.

    What --set dataset.KEY=VALUE and --timeout give is taken into account, and written down.
    """
    from harness.cli.tables import print_json
    from harness.errors import UsageError
    from harness.experiment.load import load_text
    from harness.paths import write_text
    from harness.proposal.chosen import DATA, proposal_for
    from harness.proposal.file import as_yaml, decided, described, quoted

    others = [text for text in set_ or [] if not text.strip().startswith(DATA)]
    if others:
        raise UsageError(
            f"--set {others[0]} does not say how the data is read. Change that in the file, or give it to "
            "`harness sweep`."
        )
    proposal = proposal_for(source, set_ or [], seconds_of(timeout))
    target = out or Path(f"{proposal.name}.yaml")
    if os.path.lexists(target) and not force:
        raise UsageError(f"{target} is there already. Choose another --out, or give --force to overwrite it.")
    check_folder_of(target)
    named = quoted(str(target))
    text = as_yaml(proposal, [f"harness plan {named}", f"harness sweep {named}"])
    load_text(text, target)
    with writing(target):
        write_text(target, text)
    if json_:
        print_json({"file": str(target)} | described(proposal))
        return
    for sentence in (*proposal.survey.notes, *decided(proposal), f"next   harness sweep {named}"):
        print(printable(sentence), file=sys.stderr)
    print(target)
