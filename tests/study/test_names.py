"""Names of studies: readable, not taken, and fit for folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.study import names
from harness.study.names import check_name, new_name


def test_a_new_name_begins_with_the_experiments_and_is_allowed() -> None:
    name = new_name("quickstart", set())
    assert name.startswith("quickstart-")
    assert check_name(name) == name


def test_a_new_name_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_ADJECTIVES", ("calm", "keen"))
    monkeypatch.setattr(names, "_NOUNS", ("owl",))
    for _ in range(20):
        assert new_name("e", {"e-calm-owl"}) == "e-keen-owl"


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "0", "x" * 63])
def test_plain_names_are_allowed(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-x", "a/b", "a\\b", "a b", "a\n", "é", "x" * 64, "\x00"]
)
def test_names_that_folders_or_commands_would_mistake_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="A study cannot be called"):
        check_name(name)


@given(st.text(max_size=70))
def test_whatever_is_allowed_is_one_folder_below_its_parent(name: str) -> None:
    try:
        check_name(name)
    except UsageError:
        return
    assert (Path("/studies") / name).parent == Path("/studies")
    assert Path(name).name == name
