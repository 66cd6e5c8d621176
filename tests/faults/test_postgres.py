"""Longer failures of PostgreSQL and of an MLflow server on it, and coordinators that share nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness.paths import StudyPaths
from tests.faults.support import events, harness, proven, running, seen, tiny, until
from tests.postgres_server import PASSWORD, PostgresServer
from tests.postgres_sweep import struck_sweep

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]


def test_an_mlflow_server_is_away_for_half_a_minute(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    struck_sweep(postgres, monkeypatch, trials=50, away=30)


def test_a_database_that_is_away_at_the_start_and_for_a_while_costs_no_trial(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_STORAGE", postgres.fresh("optuna"))
    postgres.stop()
    with running("sweep", tiny(), "--study", "s", "--trials", "24", "--epochs", "60") as sweep:
        until(seen("s", "trial_ended"), sweep)
        postgres.start()
        time.sleep(3)
        postgres.stop()
        time.sleep(5)
        assert sweep.process.poll() is None, sweep.stderr
        postgres.start()
        assert sweep.wait() == 0, sweep.stderr
    assert "coordinators on other hosts are not kept out" in sweep.stderr
    assert PASSWORD not in sweep.stderr
    proven("s", 24)


def test_a_database_that_stays_away_costs_a_sync(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_STORAGE", postgres.fresh("optuna"))
    with running("sweep", tiny(), "--study", "s", "--trials", "6", "--epochs", "60") as sweep:
        until(seen("s", "trial_started"), sweep)
        postgres.stop()
        assert sweep.wait() == 4, sweep.stderr
    assert "harness sync s" in sweep.stderr
    postgres.start()
    harness("sync", "s")
    proven("s", 6)


def test_of_two_coordinators_with_folders_of_their_own_one_runs(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_STORAGE", postgres.fresh("optuna"))
    command = ["sweep", tiny(), "--study", "s", "--trials", "20", "--epochs", "30"]
    homes = [Path.cwd() / name for name in ("one", "other")]
    monkeypatch.setenv("HARNESS_HOME", str(homes[0]))
    with running(*command) as one:
        monkeypatch.setenv("HARNESS_HOME", str(homes[1]))
        with running(*command) as other:
            codes = [one.wait(), other.wait()]
    assert sorted(codes) == [0, 1], one.stderr + other.stderr
    refused = (one, other)[codes.index(1)]
    assert "The study s is being run by process " in refused.stderr
    assert "Traceback" not in refused.stderr
    monkeypatch.setenv("HARNESS_HOME", str(homes[codes.index(1)]))
    assert not StudyPaths.of("s").folder.exists()
    monkeypatch.setenv("HARNESS_HOME", str(homes[codes.index(0)]))
    proven("s", 20)


def test_a_coordinator_whose_lock_is_taken_meanwhile_stops(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both begin while the database is away, and nobody keeps the other out; when it is back, one goes on."""
    monkeypatch.setenv("HARNESS_STORAGE", postgres.fresh("optuna"))
    postgres.stop()
    command = ["sweep", tiny(), "--study", "s", "--trials", "24", "--epochs", "60"]
    homes = [Path.cwd() / name for name in ("one", "other")]
    monkeypatch.setenv("HARNESS_HOME", str(homes[0]))
    with running(*command) as one:
        until(seen("s", "trial_started"), one)
        monkeypatch.setenv("HARNESS_HOME", str(homes[1]))
        with running(*command) as other:
            until(seen("s", "trial_started"), other)
            postgres.start()
            codes = [one.wait(600), other.wait(600)]
    assert sorted(codes) == [0, 1], one.stderr + other.stderr
    stopped = (one, other)[codes.index(1)]
    assert "go on with: harness resume s" in stopped.stderr
    monkeypatch.setenv("HARNESS_HOME", str(homes[codes.index(0)]))
    proven("s", 24)
    monkeypatch.setenv("HARNESS_HOME", str(homes[codes.index(1)]))
    (ended,) = [event for event in events("s") if event["kind"] == "study_ended"]
    assert not ended["complete"]
    harness("resume", "s")
    proven("s", 24)
