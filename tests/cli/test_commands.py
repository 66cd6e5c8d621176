"""Commands register themselves, and name a study in one way."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from harness.cli import main
from harness.cli.app import CARE, COMMANDS, Command, app, make_app
from harness.errors import UsageError

ROOT = Path(__file__).parent.parent.parent


def test_every_command_is_one_file_and_one_line() -> None:
    """What is beside the commands in their folder is registered, or is no command."""
    names = {command.module.rpartition(".")[2] for command in COMMANDS}
    assert len(names) == len(COMMANDS) > 10
    for name in names:
        module = importlib.import_module(f"harness.cli.{name}")
        assert module.__doc__ == f"`harness {name}`."
    others = {file.stem for file in (ROOT / "harness" / "cli").glob("*.py")} - names
    assert others == {"__init__", "app", "files", "options", "signals", "sweeping"}


def test_a_command_of_another_package_is_one_more_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "greet.py").write_text(
        '"""`harness greet`."""\n\ndef greet(whom: str) -> None:\n    """Greet somebody."""\n'
        '    print(f"Good morning, {whom}.")\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    extended = make_app([*COMMANDS, Command(CARE, "greet")])
    extended(["greet", "Ada"], standalone_mode=False)
    assert capsys.readouterr().out == "Good morning, Ada.\n"
    extended(["--help"], standalone_mode=False)
    assert "Greet somebody." in capsys.readouterr().out
    app(["--help"], standalone_mode=False)
    assert "Greet somebody." not in capsys.readouterr().out


def test_commands_about_a_study_take_it_as_their_argument() -> None:
    import typer

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name in ("ensemble", "export", "leaderboard", "report", "resume", "status", "sync", "verify"):
        arguments = [one for one in commands[name].params if one.param_type_name == "argument"]
        assert [one.name for one in arguments] == ["study"], name
        shown = [one for one in commands[name].params if "--study" in one.opts and not one.hidden]
        assert shown == [], name
    for name in ("show", "sweep", "train"):
        assert any("--study" in one.opts and not one.hidden for one in commands[name].params), name


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit status and standard error of a command that fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["harness", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [("export", "night"), ("export", "--study", "night"), ("export", "night", "--study", "night")],
)
def test_the_old_form_of_export_still_works(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, text = said(capsys, *arguments)
    assert code == 1
    assert "There is no study called 'night'" in text


def test_two_studies_are_one_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "export", "night", "--study", "day")
    assert code == UsageError.exit_code
    assert "Two studies are named, 'night' and --study 'day'; name one." in text
    code, text = said(capsys, "export", "night", "--run", "0123")
    assert code == UsageError.exit_code
    assert "leave STUDY and --trial out" in text
