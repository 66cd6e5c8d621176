"""Optuna's storage after a study and after a replay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from harness.records import LogRecord, StudyStarted, TrialEnded, TrialStarted
from harness.tracking.optuna_tracker import OptunaTracker
from tests.tracking.test_mlflow_tracker import events, study


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
    OptunaTracker(url).apply(log[:cut])
    OptunaTracker(url).apply(log)
    OptunaTracker(url).apply(log)
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
    OptunaTracker(url).apply(log)
    started = study()
    other = StudyStarted(
        **({name: getattr(started, name) for name in started.__slots__} | {"study_id": "e" * 32})
    )
    OptunaTracker(url).apply([LogRecord(1, other)])
    assert len(optuna.load_study(study_name="pets-1", storage=url).trials) == 3
    assert len(optuna.load_study(study_name=f"pets-1 ({'e' * 8})", storage=url).trials) == 0


def test_an_edited_space_goes_on_in_a_study_of_its_own(url: str, log: list[LogRecord]) -> None:
    """Optuna's storage refuses other choices for a parameter it knows."""
    edited = replace(
        study(session=2), experiment=study().experiment | {"space": {"depth": [1, 2], "width": [8, 16]}}
    )
    started = TrialStarted(
        trial=3,
        params={"depth": 2, "width": 8},
        sampled={"depth": 2, "width": 8},
        seed=3,
        generation=2,
        time=2000,
    )
    told = TrialEnded(
        trial=3,
        state="complete",
        score=0.9,
        values=[0.9],
        epoch=1,
        reason="",
        failure=None,
        traceback="",
        time=2001,
    )
    more = [*log, *(LogRecord(seq, event) for seq, event in enumerate((edited, started, told), len(log) + 1))]
    for _ in range(2):
        OptunaTracker(url).apply(more)
    assert len(optuna.load_study(study_name="pets-1", storage=url).trials) == 3
    second = optuna.load_study(study_name="pets-1 (space 2)", storage=url)
    assert [(trial.params, trial.value) for trial in second.trials] == [({"depth": 2, "width": 8}, 0.9)]
    assert second.trials[0].user_attrs["trial"] == 3
