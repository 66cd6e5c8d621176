"""The documentation tells the truth about what can be checked."""

from __future__ import annotations

import re
from pathlib import Path

from harness.experiment.load import builtin_names
from harness.experiment.parameters import CATALOG

ROOT = Path(__file__).parent.parent


def test_every_parameter_is_documented_with_its_description() -> None:
    text = (ROOT / "docs" / "experiments.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", text, flags=re.MULTILINE))
    assert documented == {name: parameter.about for name, parameter in CATALOG.items()}


def test_the_readme_names_every_built_in_experiment() -> None:
    text = (ROOT / "README.md").read_text()
    for name in builtin_names():
        assert f"`{name}`" in text, name


def test_links_lead_somewhere() -> None:
    for file in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text()):
            assert (file.parent / target).exists(), f"{file.name}: {target}"
