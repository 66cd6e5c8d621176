"""Help texts name what there is; they are written out, since generating them would make `--help` slow."""

from __future__ import annotations

import re
from typing import get_args

import typer
from rich.text import Text

from harness.cli.app import app
from harness.cli.options import DatasetOption, ExperimentArgument
from harness.data.catalog import CATALOG
from harness.experiment.load import builtin_names


def help_of(annotation: object) -> str:
    text = get_args(annotation)[1].help
    assert isinstance(text, str)
    return text


def test_the_help_of_dataset_names_every_known_set_and_no_other() -> None:
    names, _ = help_of(DatasetOption).split(", a folder of images")
    assert names.split(", ") == list(CATALOG)


def test_the_help_names_experiments_that_there_are() -> None:
    found = re.search(r"\((.*)\)", help_of(ExperimentArgument))
    assert found is not None
    assert set(found[1].split(", ")) == set(builtin_names())


def test_no_word_of_a_help_text_is_taken_for_markup() -> None:
    """What stands in brackets, such as an extra's name, would be gone."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        for text in (command.help, *(getattr(one, "help", None) for one in command.params)):
            written = re.sub(r"\[/?bold\]", "", text or "").replace("\\[", "[")
            assert Text.from_markup(text or "").plain == written, name
