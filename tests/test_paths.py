"""Names of files are in `harness/paths`, and nowhere else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "harness"
NAME = re.compile(
    r"[\w*.-]*[\w*]\.(json|jsonl|npz|npy|keras|ckpt|lock|log|db|sqlite|txt|md|pb)|SHA256SUMS|\.tmp-.*"
)
FOREIGN = {
    "data/catalog.py": {"mnist.npz", "arrays.npz"},
    "data/not_data.py": {"thumbs.db", "ehthumbs.db"},
    "data/npz.py": {"*.npy"},
    "deploy/converter.py": {"log.txt"},
    "deploy/converting.py": {"training_images.npy"},
    "deploy/runtimes/answers.py": {"images.npy", "answers.npz"},
    "model/backbones/own_model.py": {"config.json"},
    "model/keras_setup.py": {"keras.json"},
    "tracking/model_folder.py": {
        "model.keras", "keras_module.txt", "labels.txt", "requirements.txt",
    },
    "tracking/mlflow_ensembles.py": {"members.json", "gain.json"},
    "tracking/mlflow_writer.py": {"failure/traceback.txt"},
    "tracking/sqlite_file.py": {"mlflow-*.db", "mlflow.db", ".*.lock", ".tmp-*-**"},
}  # fmt: skip
"""Names that others have chosen (MLflow, Keras, NumPy, systems), or of files that are gone after a moment."""


def texts(tree: ast.AST) -> list[str]:
    """Every text in the code, docstrings left out; what is put into one when it runs is a `*`."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values]
            found.append("".join(parts))
        elif isinstance(node, ast.Constant) and id(node) not in inside | docstrings:
            found += [node.value] if isinstance(node.value, str) else []
    return found


def names_in(file: Path) -> set[str]:
    return {text for text in texts(ast.parse(file.read_text(encoding="utf-8"))) if NAME.fullmatch(text)}


def outside() -> list[Path]:
    return [file for file in sorted(PACKAGE.rglob("*.py")) if file.parent.name != "paths"]


@pytest.mark.parametrize("file", outside(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_module_names_files_of_its_own(file: Path) -> None:
    assert names_in(file) <= FOREIGN.get(str(file.relative_to(PACKAGE)), set())


def test_the_names_of_files_are_found_where_they_are() -> None:
    found = {name for file in (PACKAGE / "paths").glob("*.py") for name in names_in(file)}
    assert {"events.jsonl", "model.keras", "*_images.npy", "SHA256SUMS", "training-*.npz"} <= found
