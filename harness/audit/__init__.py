"""What may be wrong with a data set: a file and a line here for each kind of fault."""

from __future__ import annotations

from harness.audit.kind import Check
from harness.registry import registered

CHECKS: dict[str, Check] = registered(
    __name__,
    {
        "refused": "refused:CHECK",
        "leak": "identical:LEAK",
        "conflict": "identical:CONFLICT",
        "duplicate": "identical:DUPLICATE",
        "near-duplicate": "near:CHECK",
        "alike": "alike:CHECK",
        "suspect": "suspects:CHECK",
        "unreadable": "unreadable:CHECK",
        "bomb": "bombs:CHECK",
        "blank": "blank:CHECK",
        "class": "classes:CHECK",
        "label": "labels:CHECK",
        "size": "sizes:CHECK",
        "mode": "modes:CHECK",
        "orientation": "orientation:CHECK",
        "suffix": "suffixes:CHECK",
        "stray": "stray:CHECK",
    },
)
"""Checks by name, in the order in which findings of the same severity are told."""
