"""Priors on a table: learned from one half, scored on the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.table.curves import line_of
from benchmarks.table.priors import (
    HALVES,
    LEARNED,
    LEARNING_RATES,
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


@pytest.mark.parametrize(("part", "good", "bad"), [(WHOLE, RIGHT, WRONG), (HALVES[0], LEARNED, MISLEARNED)])
def test_priors_say_what_the_best_and_the_worst_have_in_common(
    file: Path, part: str, good: str, bad: str
) -> None:
    """Of the table's quality, which falls with dropout and rises with depth."""
    found = priors(file, part)
    right, wrong = (experiment_of(parts(file)[0], 10, 0, found[arm]).space.priors for arm in (good, bad))
    assert right["dropout"][1].center < wrong["dropout"][1].center  # type: ignore[union-attr]
    assert right["depth"][1].center > wrong["depth"][1].center  # type: ignore[union-attr]


def test_what_is_learned_is_learned_from_the_other_half(file: Path) -> None:
    """So that both halves say something else, and neither what the whole does."""
    one, other, whole = (priors(file, part) for part in (*HALVES, WHOLE))
    assert len({one[LEARNED], other[LEARNED], whole[RIGHT]}) == 3


def test_one_wrong_is_right_but_for_learning_rates(file: Path) -> None:
    found = priors(file, WHOLE)
    of_rates, others = (
        {arm: {one for one in own if one.startswith(LEARNING_RATES) is wanted} for arm, own in found.items()}
        for wanted in (True, False)
    )
    assert others[ONE_WRONG] == others[RIGHT]
    assert of_rates[ONE_WRONG] == of_rates[WRONG]


def test_a_search_knows_its_own_part_and_its_seed_alone(file: Path) -> None:
    learned = priors(file, HALVES[0])[LEARNED]
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
