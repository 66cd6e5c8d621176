"""MLflow's tables are made once for all fault tests, and what may take longest begins first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import keep_tables


@pytest.fixture(autouse=True)
def own_tables(own_workplace: Path, mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two processes that share the tests then end together."""
    items.sort(key=lambda item: -_patience(item))


def _patience(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else 0.0
