"""A copy of the package follows what CONTRIBUTING says, and uses what was added.

In `tests/additions` lies one file for each row of the table, as somebody would write it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import keep_tables

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
FILES = ROOT / "tests" / "additions"


@dataclass(frozen=True)
class Addition:
    """One row of the table, carried out."""

    name: str
    """Takes the place of NAME."""
    line: str
    """The registration."""


ADDITIONS = {
    "a model family": Addition("striped", '"striped": "striped:FAMILY",'),
    "a backbone": Addition("patches", '"patches": "patches:BACKBONE",'),
    "a metric": Addition("top_class", '"top_class": "top_class:TOP_CLASS",'),
    "a scheduler": Addition("halfway", '"halfway": "halfway:KIND",'),
    "a sampler": Addition(
        "constant", '"constant": SamplerKind("Always the same.", f"{_ROOM}.constant:build"),'
    ),
    "a data source": Addition("drawn", '"drawn": "drawn:KIND",'),
    "an export format": Addition("parts", '"parts": "parts:FORMAT",'),
    "a tracker": Addition("lines", '"the file of lines": "lines:KIND",'),
    "an engine": Addition("nearby", '"nearby": "nearby:KIND",'),
    "a data check": Addition("square", '"square": "square:CHECK",'),
    "a command": Addition("hello", 'Command(LOOK, "harness.cli.hello"),'),
}
ENDS = ("    },", "}", ")")
"""Lines with which a registry ends."""
EXPERIMENT = """\
name: additions
dataset: {source: drawn}
training: {epochs: 2, precision: float32}
objectives: [{metric: val_top_class}]
search: {trials: 2, sampler: constant}
scheduler: {kind: halfway}
space: {family: striped, stripes: [1, 2], l2: {type: float, low: 0.0, high: 0.01}}
"""


def rows() -> dict[str, tuple[str, str, str]]:
    """By kind: the file to write, the registry's name, the registry's file."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (an? [\w ]+?) \| `([^`]+)` \| `(\w+)` in `([^`]+)` \|", text, re.MULTILINE)
    return {kind: (file, registry, place) for kind, file, registry, place in found}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a copy of the package to which one of each kind has been added."""
    folder = tmp_path_factory.mktemp("additions")
    shutil.copytree(ROOT / "harness", folder / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    for kind, (file, registry, place) in rows().items():
        added = ADDITIONS[kind]
        target = folder / file.replace("NAME", added.name)
        assert not target.exists()
        shutil.copy(FILES / f"{kind.split(' ', 1)[1].replace(' ', '_')}.py", target)
        lines = (folder / place).read_text(encoding="utf-8").split("\n")
        start = next(number for number, line in enumerate(lines) if re.match(rf"{registry}\b.*[({{]$", line))
        end = next(number for number in range(start + 1, len(lines)) if lines[number] in ENDS)
        lines.insert(end, added.line)
        (folder / place).write_text("\n".join(lines), encoding="utf-8")
    return folder


def typed(package: Path, *arguments: str, code: int = 0) -> str:
    """Run a command of the copy; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        env=os.environ | {"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def run(package: Path, script: str) -> str:
    """Run Python with the copy on its path; what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_table_has_a_row_for_every_kind() -> None:
    assert rows().keys() == ADDITIONS.keys()


def test_what_was_added_is_used(package: Path, mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)
    Path("additions.yaml").write_text(EXPERIMENT)
    typed(package, "sweep", "additions.yaml", "--study", "s", "--workers", "1")
    ranked = json.loads(typed(package, "leaderboard", "s", "--json"))
    assert [row["state"] for row in ranked] == ["complete", "complete"]
    assert all(0 <= row["score"] <= 1 for row in ranked)
    shown = json.loads(typed(package, "show", "0", "--study", "s", "--json"))
    assert shown["params"]["family"] == "striped"
    assert shown["params"]["stripes"] in (1, 2)
    assert shown["epochs"]["2"]["val_top_class"] == shown["score"]
    written = Path("tracked/s.txt").read_text().splitlines()
    assert len(written) == len(Path(".harness/studies/s/events.jsonl").read_text().splitlines())
    assert written[0] == "1 study_started"
    typed(package, "verify", "s")
    Path("tracked/s.txt").write_text("nothing")
    assert "tracked/s.txt differs from the log" in typed(package, "verify", "s", code=1)
    typed(package, "sync", "s")
    typed(package, "verify", "s")
    bundle = Path(typed(package, "export", "s", "--out", "bundle", "--formats", "parts").strip())
    assert (bundle / "parts" / "network.json").is_file()
    assert "parts/weights.npz" in (bundle / "SHA256SUMS").read_text()
    assert "See `parts`." in (bundle / "README.md").read_text()
    assert typed(package, "hello") == "hello\n"
    assert "Say hello." in typed(package, "--help")


def test_a_backbone_that_was_added_is_found(package: Path) -> None:
    script = (
        "import keras\n"
        "from harness.model.backbones import find_backbone\n"
        "backbone = find_backbone('patches')\n"
        "inputs = keras.Input((16, 24, 3))\n"
        "network = keras.Model(inputs, backbone.build(inputs))\n"
        "backbone.load(network)\n"
        "print(network.output_shape, float(keras.ops.mean(network(keras.ops.ones((1, 16, 24, 3)) * 255))))"
    )
    assert run(package, script) == "(None, 2, 3, 3) 1.0\n"


def test_a_data_check_that_was_added_is_made(package: Path) -> None:
    looked = json.loads(typed(package, "audit", "digits", "--no-suspects", "--json"))
    (square,) = [finding for finding in looked["findings"] if finding["check"] == "square"]
    assert (square["sentence"], square["count"]) == ("Some images are square.", 1797)


def test_an_engine_that_was_added_is_made(package: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from harness.engine import make_engine\n"
        "from harness.engine.kind import EngineSettings\n"
        "from harness.paths import StudyPaths\n"
        "engine = make_engine(EngineSettings(StudyPaths(Path('s')), 3), 'nearby')\n"
        "engine.start()\n"
        "print(type(engine).__name__, len(engine.poll(0)))"
    )
    assert run(package, script) == "InlineEngine 3\n"
