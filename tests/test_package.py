"""What is shipped: a wheel with its experiments, and pinned dependencies."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from itertools import chain
from pathlib import Path

import pytest

import harness

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_a_plain_install_knows_the_built_in_experiments(tmp_path: Path) -> None:
    """The wheel, unpacked into an empty folder, is all that is on the path."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    wheel = tmp_path / f"harness-{harness.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert "harness/py.typed" in names
    assert {"harness/experiments/quickstart.yaml", "harness/experiments/cifar10.yaml"} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "mlruns", ".harness"))]
    script = (
        "import harness, sys\n"
        "from harness.experiment.load import builtin_names, load\n"
        "assert harness.__file__.startswith(sys.argv[1]), harness.__file__\n"
        "print(*[load(name).name for name in builtin_names()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "site")],
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"quickstart", "cifar10", "baseline"} <= set(done.stdout.split())


def test_constraints_pin_exact_versions_without_addresses() -> None:
    lines = (ROOT / "constraints.txt").read_text().split()
    assert len(lines) > 50
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+]+", line) for line in lines)


def test_every_dependency_is_pinned() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[<>=\[]", entry)[0].lower().replace("_", "-") for entry in wanted}
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().split()
    }
    assert names <= pinned
