"""Bundles of two networks for the digits: one has learnt them well, one badly, on the same images."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from harness.cli import main
from harness.deploy.checksums import write_checksums
from harness.deploy.export import export_model
from harness.paths.bundle import CHECKSUMS, LABELS, METADATA
from tests.conftest import keep_tables, made_once
from tests.deploy.conftest import learnt

PARAMS = {"depth": 2, "width": 8, "dropout": 0.0}


class Said(NamedTuple):
    """What a command has come to."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundles `weak` and `strong`, and the prepared data in `cache`; not to be changed."""

    def make(folder: Path) -> None:
        for name, epochs in (("weak", 1), ("strong", 8)):
            model = learnt(folder / name, PARAMS, epochs)
            export_model(model, folder / "bundles" / name, formats=["keras"])
        (folder / "weak" / "cache").rename(folder / "cache")

    return made_once(tmp_path_factory, "promoted", make)


@pytest.fixture
def bundles(trained: Path, own_workplace: Path, mlflow_tables: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies of the bundles, in a workplace whose cache has the prepared data."""
    cache = own_workplace / "cache"
    shutil.copytree(trained / "cache", cache)
    monkeypatch.setenv("HARNESS_CACHE", str(cache))
    keep_tables(mlflow_tables)
    shutil.copytree(trained / "bundles", own_workplace / "bundles")
    return Path("bundles")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Type a command."""

    def typed(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["harness", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return typed


def edited(bundle: Path, target: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a bundle that says something else of itself, as if it had been exported so."""
    shutil.copytree(bundle, target)
    described = yaml.safe_load((target / METADATA).read_text())
    edit(described)
    (target / METADATA).write_text(yaml.safe_dump(described))
    (target / LABELS).write_text("".join(f"{name}\n" for name in described["output"]["classes"]))
    (target / CHECKSUMS).unlink()
    write_checksums(target)
    return target


def answer(said: Said) -> dict[str, Any]:
    assert said.code == 0, said.err
    found: dict[str, Any] = json.loads(said.out)
    return found
