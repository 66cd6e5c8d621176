"""A sweep whose file leaves the precision to the machine: decided once, recorded, shown, and kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.paths import StudyPaths, calibration_file
from harness.study.event_log import read
from harness.study.state import fold
from tests.e2e.test_sweep import harness

pytestmark = pytest.mark.slow

QUICK = ["--epochs", "2", "--trials", "2", "--set", "dataset.limit_train=300", "--workers", "1"]


def recorded(study: str) -> str:
    return fold(read(StudyPaths.of(study).log)).experiment.training.precision


def said(text: str) -> tuple[str, str]:
    """What was taken, and why."""
    (found,) = re.findall(r"^precision: (\w+) \((.*)\)$", text, re.MULTILINE)
    return str(found[0]), str(found[1])


def test_it_is_decided_once_recorded_shown_and_kept() -> None:
    precision, why = said(harness("sweep", "--study", "one", *QUICK).stderr)
    assert precision == recorded("one") != "auto"
    runs = MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}").search_runs(["1"])
    assert [run.data.params["training.precision"] for run in runs if "seed" in run.data.params] == [precision]
    kept = calibration_file().read_bytes() if calibration_file().exists() else None
    again = said(harness("sweep", "--study", "two", *QUICK).stderr)
    assert again == (precision, why.replace("measured", "measured before"))
    assert kept == (calibration_file().read_bytes() if kept else None)
    other = "float32" if precision == "bfloat16" else "bfloat16"
    refused = harness("sweep", "--study", "one", *QUICK, "--set", f"training.precision={other}", code=2)
    assert f'training.precision was "{precision}", not "{other}"' in refused.stderr
