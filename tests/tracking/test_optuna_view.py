"""Optuna's storage after a study and after a replay."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from harness.experiment.space import parse_space
from harness.records import LogRecord, StudyStarted
from harness.sweep.sampler import distributions_of
from harness.tracking.optuna_view import OptunaView
from tests.tracking.test_mlflow_view import events, study

SPACE = parse_space({"depth": {"type": "int", "low": 1, "high": 3}})


def view(url: str) -> OptunaView:
    return OptunaView(url, lambda sampled: distributions_of(SPACE, sampled))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/optuna.db"


@pytest.fixture
def log(tmp_path: Path) -> list[LogRecord]:
    file = tmp_path / "model.keras"
    file.write_bytes(b"")
    return [LogRecord(seq, event) for seq, event in enumerate(events(file), start=1)]


@pytest.mark.parametrize("cut", [1, 3, 6, 11, 13, 16])
def test_replaying_any_part_gives_the_same_study(url: str, log: list[LogRecord], cut: int) -> None:
    view(url).apply(log[:cut])
    view(url).apply(log)
    view(url).apply(log)
    found = optuna.load_study(study_name="pets-1", storage=url)
    assert found.direction.name == "MAXIMIZE"
    states = [(trial.number, trial.state.name, trial.params, trial.value) for trial in found.trials]
    assert states == [
        (0, "COMPLETE", {"depth": 1}, 0.8),
        (1, "PRUNED", {"depth": 2}, 0.6),
        (2, "FAIL", {"depth": 3}, None),
    ]
    assert found.trials[0].intermediate_values == {2: 0.8}
    assert found.trials[2].user_attrs["failure"] == "diverged"
    assert found.best_trial.number == 0


def test_a_name_used_before_by_another_study_is_not_mixed_up(url: str, log: list[LogRecord]) -> None:
    view(url).apply(log)
    started = study()
    other = StudyStarted(
        **({name: getattr(started, name) for name in started.__slots__} | {"study_id": "e" * 32})
    )
    view(url).apply([LogRecord(1, other)])
    assert len(optuna.load_study(study_name="pets-1", storage=url).trials) == 3
    assert len(optuna.load_study(study_name=f"pets-1 ({'e' * 8})", storage=url).trials) == 0
