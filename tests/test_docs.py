"""The documentation lists what is registered, and nothing else; the paths that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.generated_docs import TABLES, documents, with_tables

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("file", documents(), ids=lambda file: file.name)
def test_tables_say_what_their_registries_say(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert with_tables(text) == text, "type: make docs"


@pytest.mark.parametrize("name", TABLES)
def test_every_table_stands_somewhere(name: str) -> None:
    assert sum(f"<!-- {name} -->" in file.read_text(encoding="utf-8") for file in documents()) == 1


PATH = re.compile(r"`((?:[\w-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml))`")
LINK = re.compile(r"\]\(((?!https?:)[^)#]+)\)")


def prose(file: Path) -> str:
    """A document without its blocks of code."""
    text = file.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def is_there(path: str) -> bool:
    """Whether a path exists in the repository or in the package."""
    return any((folder / path).exists() for folder in (ROOT, ROOT / "harness"))


def test_what_contributing_names_is_there() -> None:
    named = [path.replace("/NAME.py", "") for path in PATH.findall(prose(ROOT / "CONTRIBUTING.md"))]
    assert len(named) > 30
    assert [path for path in named if not is_there(path)] == []


@pytest.mark.parametrize("file", [*documents(), ROOT / "CHANGELOG.md"], ids=lambda file: file.name)
def test_what_documents_link_to_is_there(file: Path) -> None:
    links = LINK.findall(prose(file))
    assert [link for link in links if not (file.parent / link).exists()] == []


def test_the_rooms_that_the_readme_names_are_there() -> None:
    rooms = re.search(r"`harness/(experiment`, .*?); a test proves", prose(ROOT / "README.md"), re.DOTALL)
    assert rooms is not None
    named = re.findall(r"`?(\w+)`", rooms[1])
    assert len(named) > 10
    assert [room for room in named if not (ROOT / "harness" / room).is_dir()] == []
