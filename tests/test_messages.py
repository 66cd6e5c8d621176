"""What error messages repeat of a value from outside, and what they suggest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.messages import SHOWN, nearest, shown


@given(st.recursive(st.text() | st.integers() | st.none() | st.floats(), st.lists))
def test_whatever_the_value_it_is_told_on_one_line_and_not_for_pages(value: object) -> None:
    told = shown(value)
    assert "\n" not in told
    assert len(told) <= SHOWN + 1


def test_short_values_are_told_as_they_are_and_long_ones_cut() -> None:
    assert shown("ten") == "'ten'"
    assert shown([1, "a"]) == "[1, 'a']"
    assert shown("x" * 500) == "'" + "x" * (SHOWN - 1) + "…"
    assert shown(10**5000) == "a number of thousands of digits"


def test_the_nearest_word_is_suggested_and_nothing_where_none_is_near() -> None:
    assert nearest("dept", ["width", "depth"]) == "; did you mean depth?"
    assert nearest("nonsense", ["width", "depth"]) == ""
    assert nearest("depth", []) == ""
