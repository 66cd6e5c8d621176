"""The structure: imports go one way, and light commands stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "harness"

ALLOWED: dict[str, set[str]] = {
    "clock": set(),
    "errors": set(),
    "records": set(),
    "seeds": set(),
    "paths": {"errors"},
    "experiment": {"errors", "records"},
    "data": {"errors", "experiment", "paths", "records"},
    "model": {"records"},
    "train": {"clock", "data", "errors", "experiment", "model", "paths", "records", "seeds"},
    "tracking": {"errors", "experiment", "paths", "records"},
    "engine": {"errors", "paths", "records", "train"},
    "sweep": {"clock", "data", "engine", "errors", "experiment", "paths", "records", "seeds", "tracking"},
    "analysis": {"experiment", "paths", "records", "sweep", "tracking"},
    "deploy": {"data", "errors", "paths", "records"},
    "cli": {"analysis", "data", "deploy", "errors", "experiment", "paths", "records", "sweep", "tracking"},
}
HEAVY_ONLY_IN: dict[str, set[str]] = {
    "tensorflow": {"model", "train", "deploy", "engine"},
    "keras": {"model", "train", "deploy"},
    "mlflow": {"tracking"},
    "optuna": {"sweep", "tracking"},
}


def modules() -> list[Path]:
    found = sorted(PACKAGE.rglob("*.py"))
    assert len(found) > 40
    return found


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer(file: Path) -> str:
    parts = file.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else file.stem


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_one_way(file: Path) -> None:
    own = layer(file)
    if own in ("__init__", "__main__"):
        return
    used = {name.split(".")[1] for name in imported(file) if name.startswith("harness.")}
    used.discard("__version__")
    assert used - {own} <= ALLOWED[own]
    for package, layers in HEAVY_ONLY_IN.items():
        if any(name.split(".")[0] == package for name in imported(file)):
            assert own in layers, f"{package} must not be imported here"


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted(name.split('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_command_line_starts_light() -> None:
    found = loaded_by("import harness.cli.app")
    assert not found & {"tensorflow", "keras", "mlflow", "optuna", "pandas", "sklearn", "pydantic", "numpy"}


def test_the_coordinator_does_not_load_tensorflow() -> None:
    """Nor does anything that a sweep does in the coordinator's process."""
    found = loaded_by(
        "import harness.sweep.run, harness.tracking.mlflow_view, mlflow, optuna\n"
        "from harness.cli import sweeping, display"
    )
    assert {"mlflow", "optuna"} <= found
    assert not found & {"tensorflow", "keras"}


def test_light_commands_load_nothing_heavy() -> None:
    found = loaded_by("import harness.analysis.status, harness.cli.studies, harness.sweep.history")
    assert not found & {"tensorflow", "keras", "mlflow", "optuna", "sklearn"}
