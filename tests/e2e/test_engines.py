"""Wherever trials are trained an engine can be chosen, and the numbers are those of the local one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.cli import main
from harness.engine import ENGINES
from harness.engine.kind import EngineSettings
from harness.engine.protocol import Engine
from harness.engine.ray_connection import connect, disconnect
from harness.errors import HarnessError
from harness.machine import usable_cores
from harness.paths import StudyPaths

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {
    "dataset.limit_train": 200,
    "training.precision": "float32",
    "scheduler.kind": "none",
    "search.sampler": "random",
    "space": {"family": "cnn", "depth": 1, "width": [4, 6, 8], "optimizer": "adam", "learning_rate": 0.003},
    # One worker of the local engine has all cores.
    "resources.cpus": usable_cores(),
}


@pytest.fixture(scope="module", autouse=True)
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One Ray on this machine, which all engines of these tests share."""
    folder = tmp_path_factory.mktemp("ray")
    user = object()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        connect(user, EngineSettings(StudyPaths(folder), 1))
    yield
    disconnect(user)


@pytest.fixture
def on_ray(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the folders whose files workers of the Ray engine write."""
    found: list[str] = []
    kind = ENGINES["ray"]

    def build(settings: EngineSettings) -> Engine:
        found.append(settings.study.folder.name)
        return kind.build(settings)

    monkeypatch.setitem(ENGINES, "ray", replace(kind, build=build))
    return found


def said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str, code: int = 0
) -> tuple[str, str]:
    """What a command prints that is run in this process, where Ray is connected."""
    monkeypatch.setattr("sys.argv", ["harness", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    assert (ended.value.code or 0) == code, captured.err
    return captured.out, captured.err


def numbers(study: harness.Study) -> Sequence[object]:
    """Of every trial: its parameters and what its epochs came to, but for how long they took."""
    return [
        (one.params, one.score, one.epochs.filter(regex="^(val_)?(loss|accuracy)$").to_dict())
        for one in study.trials
    ]


def test_sweeps_confirmations_and_reproductions_on_ray_are_those_of_this_machine(
    on_ray: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = harness.load("quickstart", trials=2, epochs=2, set=SETTINGS)
    here = harness.sweep(experiment, name="here", workers=1)
    assert on_ray == []
    there = harness.sweep(experiment, name="there", workers=1, engine="ray")
    assert on_ray == ["there"]
    assert numbers(there) == numbers(here)

    confirmed = there.confirm(top=1, seeds=2, workers=1, engine="ray")
    assert on_ray == ["there", "there.confirm"]
    assert confirmed.test is not None
    assert confirmed.champion is not None
    assert confirmed.champion.reproduce().verdict == "identical"

    out, _ = said(capsys, monkeypatch, "reproduce", "1", "--study", "here", "--engine", "ray", "--json")
    found = json.loads(out)
    assert on_ray[2].startswith("harness-reproduce-")
    assert len(on_ray) == 3
    assert found["verdict"] == "identical", found
    assert found["weights"]["identical"] is True
    assert any("on a cluster" in note for note in found["notes"])


def test_a_training_on_ray_is_that_of_this_machine(
    on_ray: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [f"--set={key}={json.dumps(value)}" for key, value in SETTINGS.items() if key != "space"]
    command = ["train", "quickstart", "--epochs", "2", "--json", *given, "--set", "space={width: 4}"]
    here, _ = said(capsys, monkeypatch, *command, "--study", "here")
    there, _ = said(capsys, monkeypatch, *command, "--study", "there", "--engine", "ray")
    assert on_ray == ["there"]
    assert json.loads(there) == json.loads(here) != {}


def test_what_is_no_engine_or_has_no_address_is_refused_before_anything_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = harness.load("quickstart", trials=1, epochs=1)
    with pytest.raises(HarnessError, match="'rey' is none of the engines: local, ray; did you mean ray"):
        harness.sweep(experiment, name="s", engine="rey")
    with pytest.raises(HarnessError, match="The engine local uses this machine"):
        harness.sweep(experiment, name="s", ray_address="auto")
    for command in (["sweep"], ["train"], ["resume", "s"], ["confirm", "s"], ["reproduce", "0"]):
        _, err = said(capsys, monkeypatch, *command, "--ray-address", "auto", code=2)
        assert "It is that of a cluster: --engine ray." in err
    _, err = said(capsys, monkeypatch, "confirm", "s", "--as-is", "--engine", "ray", code=2)
    assert "--as-is trains nothing, so that --engine has no meaning" in err
    assert not Path(".harness").exists()
