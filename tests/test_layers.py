"""The structure: imports go one way, and light commands stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

PACKAGE = Path(__file__).parent.parent / "harness"

ALLOWED: dict[str, set[str]] = {
    "clock": set(),
    "comparison": set(),
    "errors": set(),
    "gpus": set(),
    "machine": set(),
    "messages": set(),
    "metrics": {"registry"},
    "model_weights": set(),
    "records": set(),
    "registry": set(),
    "seeds": set(),
    "settings": set(),
    "paths": {"errors"},
    "predictions": {"paths"},
    "study_files": {"errors", "paths"},
    "model": {"errors", "messages", "paths", "records", "registry"},
    "schedulers": {"records", "registry", "settings"},
    "experiment": {"errors", "messages", "metrics", "model", "records", "schedulers", "settings"},
    "data": {"errors", "experiment", "machine", "messages", "paths", "records", "registry", "seeds"},
    "study": {"errors", "experiment", "paths", "records", "study_files"},
    "train": {
        "clock", "data", "errors", "experiment", "metrics", "model", "model_weights", "paths", "predictions",
        "records", "seeds", "study_files",
    },
    "engine": {
        "clock", "errors", "gpus", "machine", "model", "paths", "records", "registry", "study_files", "train",
    },
    "audit": {
        "data", "engine", "errors", "experiment", "machine", "messages", "model", "paths", "records",
        "registry",
    },
    "tracking": {"errors", "experiment", "paths", "records", "registry", "study"},
    "sweeping": {
        "audit", "clock", "comparison", "data", "engine", "errors", "experiment", "gpus", "machine",
        "messages", "paths", "records", "schedulers", "seeds", "study", "study_files", "tracking",
    },
    "proposal": {
        "audit", "data", "engine", "errors", "experiment", "gpus", "machine", "messages", "model", "paths",
        "records", "study", "sweeping",
    },
    "analysis": {
        "experiment", "metrics", "paths", "predictions", "records", "seeds", "study", "tracking",
    },
    "deploy": {
        "analysis", "data", "errors", "messages", "model", "paths", "predictions", "records", "registry",
        "study",
    },
    "reproducing": {
        "clock", "data", "engine", "errors", "experiment", "machine", "model_weights", "paths", "records",
        "study", "sweeping",
    },
    "ensembling": {
        "analysis", "clock", "errors", "metrics", "paths", "predictions", "records", "seeds", "study",
        "sweeping",
    },
    "confirmation": {
        "analysis", "clock", "comparison", "data", "deploy", "errors", "experiment", "metrics", "paths",
        "records", "seeds", "study", "sweeping",
    },
    "serving": {
        "analysis", "confirmation", "data", "deploy", "errors", "machine", "messages", "paths", "study",
        "tracking",
    },
    "promotion": {
        "analysis", "confirmation", "data", "deploy", "errors", "paths", "serving", "study", "tracking",
    },
    "library": {
        "analysis", "confirmation", "deploy", "engine", "ensembling", "errors", "experiment", "paths",
        "proposal", "records", "reproducing", "study", "sweeping",
    },
    "cli": {
        "analysis", "audit", "comparison", "confirmation", "data", "deploy", "engine", "ensembling", "errors",
        "experiment", "machine", "messages", "paths", "promotion", "proposal", "records", "reproducing",
        "serving", "study", "study_files", "sweeping", "tracking",
    },
}  # fmt: skip
"""By room of the package, the other rooms that it may import from."""
HEAVY_ONLY_IN: dict[str, set[str]] = {
    "tensorflow": {"model", "train", "deploy", "engine", "serving"},
    "keras": {"model", "train", "deploy", "library", "serving"},
    "mlflow": {"tracking"},
    "optuna": {"analysis", "schedulers", "sweeping", "tracking"},
}
MOST_LINES, MEDIAN_LINES = 350, 110


def modules() -> list[Path]:
    found = sorted(PACKAGE.rglob("*.py"))
    assert len(found) > 40
    return found


def name_of(file: Path) -> str:
    """As it is imported, `harness.room.module`."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that these statements import, `a.b` and `a.b.c` for `from a.b import c`."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def on_import(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, without those for type checkers."""
    for one in statements:
        yield one
        if isinstance(one, ast.If) and ast.unparse(one.test) == "TYPE_CHECKING":
            yield from on_import(one.orelse)
        elif not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "finalbody"):
                yield from on_import(getattr(one, part, []))
            for handler in getattr(one, "handlers", []):
                yield from on_import(handler.body)


def layer(file: Path) -> str:
    parts = file.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else file.stem


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_one_way(file: Path) -> None:
    own, names = layer(file), imported(ast.walk(parsed(file)))
    for package, layers in HEAVY_ONLY_IN.items():
        if any(name.split(".")[0] == package for name in names):
            assert own in layers, f"{package} must not be imported here"
    if own in ("__init__", "__main__"):
        return
    used = {name.split(".")[1] for name in names if name.startswith("harness.")}
    used.discard("__version__")
    assert used - {own} <= ALLOWED[own]


def test_the_rooms_lie_on_floors() -> None:
    """What a room may import never leads back to it."""
    TopologicalSorter(ALLOWED).prepare()


def test_no_module_imports_itself_by_way_of_others() -> None:
    known = {name_of(file) for file in modules()}
    graph: dict[str, set[str]] = {}
    for file in modules():
        used = graph[name_of(file)] = set()
        for statement in on_import(parsed(file).body):
            found = imported([statement]) & known
            # `from a.b import c` with a module c needs that, not what else stands in a.b
            used |= {one for one in found if not any(other.startswith(f"{one}.") for other in found)}
    assert sum(map(len, graph.values())) > 500
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_module_is_not_long(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_half_of_the_modules_are_short() -> None:
    """Those that say what a package is about, `__init__.py`, do not count: they would make it easy."""
    lengths = [
        len(file.read_text(encoding="utf-8").splitlines()) for file in modules() if file.stem != "__init__"
    ]
    assert median(lengths) <= MEDIAN_LINES


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
        "import harness.sweeping.session, harness.tracking.mlflow_tracker, mlflow, optuna\n"
        "from harness.cli import sweeping, display"
    )
    assert {"mlflow", "optuna"} <= found
    assert not found & {"tensorflow", "keras"}


def test_light_commands_load_nothing_heavy() -> None:
    found = loaded_by("import harness.analysis.status, harness.study.opening, harness.study.state")
    assert not found & {"tensorflow", "keras", "mlflow", "optuna", "sklearn"}
