"""The number of workers is measured, once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine import benchmarking
from harness.engine.calibration import Calibration, calibrate, candidates
from harness.engine.memory import GIB
from harness.engine.remembered import recall, remember
from harness.errors import EngineError
from harness.experiment.parameters import complete
from harness.machine import usable_cores

SMALL = {"family": "cnn", "depth": 1, "width": 4, "batch_size": 16}


def test_candidates_never_oversubscribe() -> None:
    assert candidates(2, 0, 24 * GIB) == [2, 1]
    assert candidates(12, 0, 64 * GIB) == [12, 6, 3, 1]
    assert candidates(64, 0, 12 * GIB) == [8, 4, 2, 1]
    assert candidates(16, 2, 64 * GIB) == [8, 4, 2]
    assert candidates(1, 0, 1 * GIB) == [1]


@pytest.mark.slow
def test_measured_once_and_then_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    told: list[tuple[int, int]] = []

    def measure() -> Calibration:
        return calibrate(
            complete(SMALL),
            "small",
            (8, 8, 1),
            10,
            "float32",
            lambda _, done, total: told.append((done, total)),
        )

    first = measure()
    assert not first.known
    assert list(first.rates) == candidates(usable_cores(), 0, 1024 * GIB)
    assert first.rates[first.workers] >= 0.95 * max(first.rates.values()) > 0
    assert told[-1] == (len(first.rates), len(first.rates))
    told.clear()
    again = measure()
    assert (again.known, again.workers, again.rates, told) == (True, first.workers, first.rates, [])
    file = tmp_path / "calibration.json"
    key = next(iter(json.loads(file.read_text())))
    file.write_text(json.dumps({key: "damaged"}))
    assert not measure().known
    assert measure().known


@pytest.mark.parametrize("content", ["[", "[1]", '{"key": "x"}', '{"key": {}}', '{"key": {"2": 0.0}}'])
def test_what_is_damaged_is_not_remembered_and_written_anew(
    content: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    (tmp_path / "calibration.json").write_text(content)
    assert recall("key") == {}
    remember("key", {"2": 30.0})
    assert recall("key") == {"key": {"2": 30.0}}


@pytest.mark.slow
def test_a_result_that_cannot_be_kept_is_used_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file" / "cache"))
    found = calibrate(complete(SMALL), "small", (8, 8, 1), 10, "float32", lambda *_: None)
    assert found.rates[found.workers] > 0


@pytest.mark.slow
def test_a_plug_in_that_prints_and_reads_is_measured_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    Path("talking.py").write_text(
        "import keras, sys\n"
        "print('ready', flush=True)\n"
        "def build(params, image_shape, num_classes):\n"
        "    print('123456.0', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    x = keras.Input(image_shape)\n"
        "    return keras.Model(x, keras.layers.Dense(num_classes)(keras.layers.Flatten()(x)))\n"
    )
    params = complete({"batch_size": 16}, "talking:build")
    found = calibrate(params, "talking", (8, 8, 1), 10, "float32", lambda *_: None)
    assert all(rate > 0 for rate in found.rates.values())
    assert 123456.0 not in found.rates.values()


@pytest.mark.slow
def test_what_takes_too_long_to_be_measured_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    monkeypatch.setattr(benchmarking, "ANSWER_SECONDS", 0.5)
    with pytest.raises(EngineError, match=r"within 0 s|within 1 s"):
        calibrate(complete(SMALL), "slow", (8, 8, 1), 10, "float32", lambda *_: None)


@pytest.mark.slow
def test_what_cannot_be_trained_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    with pytest.raises(EngineError, match="--workers"):
        calibrate(
            complete(SMALL) | {"family": "none"},
            "none",
            (8, 8, 1),
            10,
            "float32",
            lambda label, done, total: None,
        )
    assert not (tmp_path / "calibration.json").exists()


def test_what_is_neither_a_number_nor_auto_is_refused() -> None:
    for text in ("many", "0", "-1", "1.5", "1025"):
        done = subprocess.run(
            [sys.executable, "-m", "harness", "sweep", f"--workers={text}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert "neither auto nor a number from 1 to 1,024" in " ".join(done.stderr.replace("│", "").split())
