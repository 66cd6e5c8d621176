"""Priors on a table: learned from one half, scored on the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.table.curves import line_of
from benchmarks.table.priors import MOMENTS, RIGHT, WITHOUT, Task, halves, one_search, priors, render
from benchmarks.table.searches.harness import experiment_of
from tests.benchmarks.drawn_table import recording, trainings

CONFIGURATIONS = 40


@pytest.fixture
def file(tmp_path: Path) -> Path:
    one, found = recording(CONFIGURATIONS), tmp_path / "table.jsonl"
    found.write_text("".join(map(line_of, [one, *trainings(one, 1)])), encoding="utf-8")
    return found


def test_the_halves_share_no_configuration_and_make_up_the_table(file: Path) -> None:
    _, (first, second) = halves(file)
    assert not first.complete.keys() & second.complete.keys()
    assert first.complete.keys() | second.complete.keys() == set(range(CONFIGURATIONS))


@pytest.mark.parametrize("half", [0, 1])
def test_priors_say_what_the_best_and_the_worst_have_in_common(file: Path, half: int) -> None:
    """Of the table's quality, which falls with dropout and rises with depth."""
    right, wrong = (experiment_of(halves(file)[0], 10, 0, found).space.priors for found in priors(file, half))
    assert right["dropout"][1].center < wrong["dropout"][1].center  # type: ignore[union-attr]
    assert right["depth"][1].center > wrong["depth"][1].center  # type: ignore[union-attr]


def test_a_search_knows_its_own_half_and_its_seed_alone(file: Path) -> None:
    right, _ = priors(file, 0)
    with_it, again, without = (one_search(Task(file, 15, 2, 0, own, 3)) for own in (right, right, ()))
    assert with_it == again
    assert with_it != without
    assert with_it.configurations <= CONFIGURATIONS // 2


def test_times_are_told_beside_those_without_a_prior() -> None:
    usual = [round(0.5 * (moment + 1) / MOMENTS, 5) for moment in range(MOMENTS)]
    faster = [min(0.5, 2 * score) for score in usual]
    seconds = [moment + 1.0 for moment in range(MOMENTS)]
    measured = {
        arm: {"0": {"seconds": seconds, "median": scores, "trials": 10}}
        for arm, scores in ((WITHOUT, usual), (RIGHT, faster))
    }
    rows = render(json.loads(json.dumps(measured))).splitlines()
    assert rows[2].count("(1.00)") == 3
    assert rows[3].count("(0.50)") == 3
