"""Studies that earlier versions have made are still read, gone on with, verified, exported and reported."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from harness.cli import main
from harness.errors import ExperimentError
from harness.experiment.load import computing_in, load
from harness.experiment.overrides import options
from harness.study.opening import open_study
from harness.sweeping.checks import as_begun, check_same_experiment
from harness.sweeping.precision import settled
from harness.sweeping.schedule import with_schedule
from tests.old_studies.make import COMMANDS

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent
ARCHIVES = sorted(FOLDER.glob("*.tar.xz"))
NEWEST = ARCHIVES[-1]
WITHOUT_STEMS = FOLDER / "later" / "0.3.0.tar.xz"
"""With the study `photographs` of the last version whose networks began at the full size of any image."""
FULL = os.environ.get("HARNESS_TESTS") == "full"

Command = Callable[..., str]


def unpack(archive: Path, folder: Path) -> None:
    """Put an archive's content into a folder, and that folder's path where MLflow keeps absolute ones."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    before = (folder / "made-in.txt").read_text()
    store = sqlite3.connect(folder / "mlflow.db")
    for (table,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for _, column, kind, *_ in store.execute(f"PRAGMA table_info({table})").fetchall():
            if "CHAR" in kind.upper() or "TEXT" in kind.upper():
                store.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (before, str(folder)))
    store.commit()
    store.close()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Type a command that must succeed; what it prints."""

    def typed(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["harness", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert not ended.value.code, said.err
        return said.out

    return typed


def each(archives: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("archive", archives, ids=lambda archive: archive.name.split(".tar")[0])


@each(ARCHIVES)
def test_every_study_is_still_read(archive: Path, command: Command, own_workplace: Path) -> None:
    unpack(archive, own_workplace)
    states = {
        study: [row["state"] for row in json.loads(command("leaderboard", study, "--json"))]
        for study in ("pictures", "ordered", "pruner", "several")
    }
    assert {study: len(found) for study, found in states.items()} == {
        "pictures": 4, "ordered": 4, "pruner": 3, "several": 3
    }  # fmt: skip
    assert all("complete" in states[study] for study in ("pictures", "pruner", "several"))
    assert json.loads(command("status", "ordered", "--json"))["next"].startswith("harness resume ordered")
    assert "<html" in Path(command("report", "several").strip()).read_text(encoding="utf-8")


@each(ARCHIVES)
@pytest.mark.parametrize("study", COMMANDS)
def test_every_study_goes_on_with_the_file_that_it_began_with(
    archive: Path, own_workplace: Path, study: str
) -> None:
    """What a file says today where it says nothing is not held against a study from before."""
    unpack(archive, own_workplace)
    _, state = open_study(study)
    said: list[str] = []
    written = load(f"{study}.yaml", options(ordered=study == "ordered" or None))
    found = with_schedule(as_begun(written, state, said.append), state, said.append)
    assert found.space == state.experiment.space, "what trials were not given, new ones are not given either"
    found = settled(found, state, said.append)
    check_same_experiment(found, state)
    assert found.training.precision == "float32"
    assert said == ["precision: float32 (as the study began)"]
    with pytest.raises(ExperimentError, match=r'training.precision was "float32", not "bfloat16"'):
        check_same_experiment(computing_in(found, "bfloat16"), state)


@each(ARCHIVES if FULL else [NEWEST])
def test_a_study_in_a_fixed_order_goes_on(archive: Path, command: Command, own_workplace: Path) -> None:
    """Every decision is taken again, and has to come out as it was."""
    unpack(archive, own_workplace)
    before = json.loads(command("leaderboard", "ordered", "--json"))
    command("resume", "ordered", "--max-epochs-total", "none", "--workers", "1")
    after = {row["trial"]: row for row in json.loads(command("leaderboard", "ordered", "--json"))}
    assert len(after) == 6
    varying = ("depth", "width", "dropout", "optimizer", "learning_rate")
    for row in before:
        assert [row[name] for name in varying] == [after[row["trial"]][name] for name in varying]
    command("verify", "ordered")


@each([NEWEST])
def test_a_complete_study_is_verified_and_exported(
    archive: Path, command: Command, own_workplace: Path
) -> None:
    unpack(archive, own_workplace)
    command("verify", "several")
    bundle = Path(
        command("export", "--study", "several", "--out", "bundle", "--formats", "saved_model").strip()
    )
    metadata = yaml.safe_load((bundle / "metadata.yaml").read_text(encoding="utf-8"))
    best = json.loads(command("leaderboard", "several", "--json"))[0]
    assert metadata["provenance"]["trial"] == best["trial"]


def test_a_study_of_large_pictures_goes_on_with_the_networks_that_it_began_with(
    command: Command, own_workplace: Path
) -> None:
    """Its paused trials go on from their checkpoints, and new ones are like them; so they are ever after."""
    unpack(WITHOUT_STEMS, own_workplace)
    before = {row["trial"]: row for row in json.loads(command("leaderboard", "photographs", "--json"))}
    again = ["sweep", "photographs.yaml", "--study", "photographs", "--ordered", "--trials", "5"]
    command(*again, "--max-epochs-total", "9", "--workers", "1")
    command("resume", "photographs", "--max-epochs-total", "none", "--workers", "1")
    _, state = open_study("photographs")
    assert len(state.trials) == 5 > len(before)
    assert {trial.params["stem"] for trial in state.trials.values()} == {"none"}
    assert {trial.state for trial in state.trials.values()} == {"complete", "pruned"}
    for number, row in before.items():
        assert state.trials[number].sampled["depth"] == row["depth"]
    command("verify", "photographs")


@pytest.mark.skipif(not FULL, reason="`make test-full` does")
@each(ARCHIVES)
def test_the_others(archive: Path, command: Command, own_workplace: Path) -> None:
    """Where a study is older than its reference images, resuming keeps them, as the export's error says."""
    unpack(archive, own_workplace)
    command("resume", "pruner", "--max-epochs-total", "none", "--workers", "1")
    command("verify", "pruner")
    command("resume", "pictures", "--trials", "6", "--workers", "1")
    assert len(json.loads(command("leaderboard", "pictures", "--json"))) == 6
    command("verify", "pictures")
    command("export", "--study", "pictures", "--out", "pictures-bundle")
    command("resume", "several", "--workers", "1")
    command("export", "--study", "several", "--out", "several-bundle")
