"""`harness hello`."""

from __future__ import annotations


def hello() -> None:
    """Say hello."""
    print("hello")
