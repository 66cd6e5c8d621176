"""Priors on a table: learned from one half, scored on the other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.table.curves import line_of
from benchmarks.table.priors import (
    GOOD,
    HALVES,
    LEARNED,
    MISLEARNED,
    MOMENTS,
    ONE_WRONG,
    RIGHT,
    WHOLE,
    WITHOUT,
    WRONG,
    Task,
    one_search,
    parts,
    priors,
    render,
)
from benchmarks.table.searches.harness import experiment_of
from tests.benchmarks.drawn_table import recording, trainings

CONFIGURATIONS = 40


@pytest.fixture
def file(tmp_path: Path) -> Path:
    one, found = recording(CONFIGURATIONS), tmp_path / "table.jsonl"
    found.write_text("".join(map(line_of, [one, *trainings(one, 1)])), encoding="utf-8")
    return found


def test_the_halves_share_no_configuration_and_make_up_the_table(file: Path) -> None:
    tables = parts(file)[1]
    first, second = (tables[name].complete.keys() for name in HALVES)
    assert not first & second
    assert first | second == tables[WHOLE].complete.keys() == set(range(CONFIGURATIONS))


@pytest.mark.parametrize(
    ("part", "good", "bad"), [(WHOLE, RIGHT, WRONG), (WHOLE, GOOD, WRONG), (HALVES[0], LEARNED, MISLEARNED)]
)
def test_priors_are_of_the_best_and_of_the_worst(file: Path, part: str, good: str, bad: str) -> None:
    """Of the table's quality, which falls with dropout and rises with depth."""
    centers: dict[str, list[tuple[float, float]]] = {good: [], bad: []}
    for seed in range(20):
        found = priors(file, part, seed)
        for arm, told in centers.items():
            own = experiment_of(parts(file)[0], 10, 0, found[arm]).space.priors
            told.append((own["dropout"][1].center, own["depth"][1].center))  # type: ignore[union-attr]
    right, wrong = (np.mean(centers[arm], axis=0) for arm in (good, bad))
    assert right[0] < wrong[0]
    assert right[1] > wrong[1]


def test_what_is_learned_is_learned_from_the_other_half(file: Path) -> None:
    """So that both halves say something else, whatever the seed."""
    one, other = (priors(file, half, 0)[LEARNED] for half in HALVES)
    assert one != other
    assert priors(file, HALVES[0], 1)[LEARNED] == one


def test_with_every_seed_somebody_else_says_something(file: Path) -> None:
    assert len({priors(file, WHOLE, seed)[RIGHT] for seed in range(10)}) == 10
    assert priors(file, WHOLE, 3) == priors(file, WHOLE, 3)


def test_one_wrong_is_right_but_for_the_learning_rate(file: Path) -> None:
    found = priors(file, WHOLE, 0)
    (right,), (wrong,) = (
        set(found[one]) - set(found[other]) for one, other in ((RIGHT, ONE_WRONG), (ONE_WRONG, RIGHT))
    )
    assert right.split("=")[0] == wrong.split("=")[0]
    assert right.startswith("space.learning_rate.prior.")


def test_a_search_knows_its_own_part_and_its_seed_alone(file: Path) -> None:
    learned = priors(file, HALVES[0], 0)[LEARNED]
    with_it, again, without = (
        one_search(Task(file, 15, 2, HALVES[0], own, 3)) for own in (learned, learned, ())
    )
    assert with_it == again
    assert with_it != without
    assert with_it.configurations <= CONFIGURATIONS // 2


def test_times_are_told_beside_those_without_a_prior() -> None:
    usual = [round(0.5 * (moment + 1) / MOMENTS, 5) for moment in range(MOMENTS)]
    faster = [min(0.5, 2 * score) for score in usual]
    seconds = [moment + 1.0 for moment in range(MOMENTS)]
    measured = {
        WHOLE: {
            arm: {"seconds": seconds, "median": scores, "trials": 10}
            for arm, scores in ((WITHOUT, usual), (RIGHT, faster))
        }
    }
    rows = render(json.loads(json.dumps(measured))).splitlines()
    assert rows[2].count("(1.00)") == 3
    assert rows[3].count("(0.50)") == 3
