"""A sweep with Optuna and MLflow on a real PostgreSQL."""

from __future__ import annotations

import pytest

from tests.postgres_server import PostgresServer
from tests.postgres_sweep import struck_sweep

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_both_servers_go_away_in_mid_sweep(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    struck_sweep(postgres, monkeypatch, trials=20, away=1)
