"""MLflow's tables are made once for all end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import keep_tables


@pytest.fixture(autouse=True)
def own_tables(own_workplace: Path, mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)
