"""Searches that are simulated on a table of learning curves, and the file that these stand in."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.table.clock import Answers, Simulated, simulate
from benchmarks.table.curves import Table, cycles_of, line_of, read, schedule_name
from benchmarks.table.neighbours import Neighbours
from benchmarks.table.record import SCHEDULES, SEEDS, Plan, Recorder
from benchmarks.table.simulate import PACKAGES, Settings, made, missing, reached, render, summary
from harness.records import Annealing
from tests.benchmarks.drawn_table import EPOCHS, IMAGES, drawn_table, quality, recording, training, trainings

VARIANTS = {
    "constant": ("space.schedule=constant",),
    "hyperband": ("scheduler.kind=hyperband",),
    "one cycle": ("space.schedule=one_cycle", "search.sampler=random"),
    "median": ("scheduler.kind=median",),
}
ARMS = [arm for arm in [*PACKAGES, *VARIANTS] if not missing(arm)]
TABLE = drawn_table()


def searched(arm: str, seed: int, seconds: float, workers: int = 2, table: Table = TABLE) -> Simulated:
    own = Settings(Path("none"), seconds, workers, 1.0, 1.0, VARIANTS)
    answers = Answers(table, Neighbours(table.space, table.complete), seed)
    return simulate(made(arm, own, answers, seed), answers, workers=workers, limit=seconds)


@given(
    arm=st.sampled_from(ARMS),
    seed=st.integers(0, 1000),
    seconds=st.floats(0.5, 25),
    workers=st.integers(1, 3),
)
@settings(max_examples=20, deadline=None)
def test_a_search_keeps_its_budget_and_gets_better(arm: str, seed: int, seconds: float, workers: int) -> None:
    found = searched(arm, seed, seconds, workers)

    assert found.busy_seconds <= workers * seconds * (1 + 1e-9)
    assert all(0 < one.seconds <= seconds for one in found.incumbents)
    moments = [one.seconds for one in found.incumbents]
    assert moments == sorted(moments)
    observed = [one.observed for one in found.incumbents]
    assert observed == sorted(set(observed))
    assert len(found.incumbents) <= found.epochs <= found.trials * EPOCHS


@pytest.mark.parametrize("arm", ARMS)
def test_the_same_seed_finds_the_same(arm: str) -> None:
    first, again, other = (searched(arm, seed, 20) for seed in (3, 3, 4))

    assert first == again
    assert first.epochs > EPOCHS
    assert first != other


@pytest.mark.parametrize("seed", range(3))
def test_a_random_search_that_has_tried_everything_has_found_the_best(seed: int) -> None:
    exact = recording(12)
    table = Table.of(exact, [training(exact, one, "constant") for one in range(12)])
    best = max(training(exact, one, "constant").right[-1] for one in range(12))
    everything = sum(sum(training(exact, one, "constant").seconds) + 1.5 for one in range(12))

    found = searched("random", seed, everything + 1, workers=1, table=table)

    assert found.configurations == 12
    assert found.epochs == 12 * EPOCHS
    assert max(one.observed for one in found.incumbents) >= best / IMAGES
    assert found.incumbents[-1].true == found.incumbents[-1].observed  # there is one seed


def test_what_would_be_returned_is_judged_by_all_seeds() -> None:
    one = recording(1)
    lucky = replace(training(one, 0, seed=0), right=[900] * EPOCHS)
    table = Table.of(one, [lucky, replace(lucky, seed=1, right=[700] * EPOCHS)])

    found = [searched("random", seed, 20, table=table).incumbents[0] for seed in range(20)]

    assert {incumbent.true for incumbent in found} == {0.8}
    assert {incumbent.observed for incumbent in found} == {0.9, 0.7}


def test_a_training_that_ends_early_comes_to_what_the_cycles_around_its_end_came_to() -> None:
    """Halfway between 3 and 9 by the logarithm; the ladder is the schedule's own, or another of the table."""
    one = recording(1)
    rising = replace(training(one, 0, "1-3-9"), right=[100, 0, 300, 0, 0, 0, 0, 0, 500])
    flat = replace(training(one, 0, "constant"), right=[50] * EPOCHS)
    half = Annealing(start=3, stop=round(math.sqrt(27)))
    between = 0.3 + 0.2 * math.log(half.stop / 3) / math.log(3)

    table = Table.of(one, [rising, flat])
    for schedule in ("1-3-9", "constant"):
        (found,) = table.trained(0, schedule, half)
        (own,) = table.trained(0, schedule)
        assert found.accuracies == (*own.accuracies[: half.stop - 1], pytest.approx(between))
        assert table.truth(0, schedule, half.stop, half) == pytest.approx(between)
    assert table.trained(0, "constant", Annealing(start=1, stop=3))[0].accuracies[-1] == 0.3
    without = Table.of(one, [flat])
    assert without.trained(0, "constant", half) == without.trained(0, "constant")


def test_the_nearest_configuration_answers_that_was_not_given_before() -> None:
    points = {number: TABLE.recording.configurations[number] for number in TABLE.complete}
    answers = Answers(TABLE, Neighbours(TABLE.space, TABLE.complete), 0)

    assert [answers.begin(params) for params in points.values()] == list(points)
    near = points[5] | {"dropout": float(points[5]["dropout"]) * 0.999}
    assert answers.begin(near) == 5  # all were given, so all may be again
    again = answers.begin(near | {"dropout": float(points[5]["dropout"]) * 0.998})
    assert again != 5
    assert answers.begin(near) == 5  # whoever goes on has the one that it began with


def test_a_learning_rate_is_compared_within_its_optimizer() -> None:
    neighbours = Neighbours(
        TABLE.space, {0: {**_BASE, "learning_rate": 1e-3}, 1: {**_BASE, "learning_rate": 5e-3}}
    )

    assert neighbours.nearest({**_BASE, "learning_rate": 1.2e-3}, {0, 1}) == 0
    assert neighbours.nearest({**_BASE, "learning_rate": 4e-3}, {0, 1}) == 1
    assert neighbours.nearest({**_BASE, "learning_rate": 4e-3}, {0}) == 0


_BASE = {
    "family": "cnn", "depth": 1, "width": 8, "dropout": 0.1, "optimizer": "adam", "augmentation": "none",
}  # fmt: skip


def test_harness_gives_up_a_trial_whose_loss_is_not_finite() -> None:
    one = recording(6)
    diverging = Table.of(one, [training(one, number, finite=False) for number in range(6)])
    usual = Table.of(one, [training(one, number) for number in range(6)])

    found, others = (searched("constant", 0, 20, table=table) for table in (diverging, usual))

    assert 0 < found.epochs <= found.trials
    assert others.epochs > others.trials


def test_a_schedule_that_was_not_recorded_is_a_sentence() -> None:
    one = recording(4)
    table = Table.of(one, [training(one, number) for number in range(4)])

    with pytest.raises(SystemExit, match=r"no curves for the schedule 1-3-9, only for constant\."):
        searched("harness", 0, 10, table=table)


def test_an_unfinished_recording_has_the_schedules_that_are_complete() -> None:
    one = recording(4)
    found = [training(one, number) for number in range(4)] + [training(one, 0, "1-3-9")]

    assert Table.of(one, found).schedules == ("constant",)
    assert Table.of(one, found[:2]).complete.keys() == {0, 1}


def test_schedules_have_one_name() -> None:
    assert schedule_name("cycle_per_rung", (1, 3, 9)) == "1-3-9"
    assert schedule_name("cycle_per_rung", (9,)) == schedule_name("one_cycle", (1, 3, 9)) == "one_cycle"
    assert cycles_of("3-9", 9) == ("cycle_per_rung", (3, 9))
    assert cycles_of("constant", 9) == ("constant", ())
    with pytest.raises(SystemExit, match="no ladder"):
        cycles_of("3-6", 9)


def test_a_recording_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    one, file = recording(3), tmp_path / "table.jsonl"
    whole = [training(one, 0), training(one, 1)]
    file.write_text("".join(map(line_of, [one, *whole])) + line_of(training(one, 2))[:40], encoding="utf-8")
    recorder = Recorder(file, one, None, Plan(range(3)))  # type: ignore[arg-type] # nothing is trained here

    assert read(file) == (one, whole)
    recorder.go_on()
    recorder._append(line_of(training(one, 2)))

    assert read(file) == (one, [*whole, training(one, 2)])
    assert recorder.plan.next() == (2, "constant", 0)
    other = Recorder(file, replace(one, images=7), None, Plan(range(3)))  # type: ignore[arg-type]
    with pytest.raises(SystemExit, match=r"other settings \(images\)"):
        other.go_on()


@given(st.integers(1, 30), st.integers(0, 200))
@settings(max_examples=20, deadline=None)
def test_every_beginning_of_a_recording_is_of_use(configurations: int, cut: int) -> None:
    one, plan = recording(configurations), Plan(range(configurations), ladders=("1-9",))
    for _ in range(cut):
        if (key := plan.next()) is not None:
            plan.done[key] = training(one, *key)

    counts = [
        sum((number, schedule, SEEDS[0]) in plan.done for number in range(configurations))
        for schedule in (*SCHEDULES, "1-9")
    ]
    assert counts == sorted(counts, reverse=True)
    if plan.done:
        assert set(Table.of(one, plan.done.values()).complete) == set(range(counts[0]))
    if plan.next() is None:
        assert len(plan.done) == plan.total


def test_the_best_are_trained_with_more_seeds() -> None:
    one, plan = recording(30), Plan(range(30))
    while (key := plan.next()) is not None:
        plan.done[key] = training(one, *key)

    more = {configuration for configuration, _, seed in plan.done if seed == SEEDS[-1]}
    assert len(more) == 20
    assert max(range(30), key=lambda number: quality(one.configurations[number])) in more
    assert plan.is_over
    assert len(plan.done) == plan.total


def test_arms_are_told_beside_the_best_other_tool() -> None:
    moments = np.linspace(0, 15, 21)[1:]
    measured = {
        arm: summary([searched(arm, seed, 15) for seed in range(2)], moments)
        for arm in ("random", "optuna_halving", "cycles")
    }

    text = render(measured)

    best = max(("random", "optuna_halving"), key=lambda arm: measured[arm]["median"][-1])
    rows = {line.split("|")[1].strip(): line for line in text.split("\n\n")[0].splitlines()[2:]}
    assert list(rows) == list(measured)
    assert rows[best].split("|")[-2].strip() == "1.00"
    for found in measured.values():
        assert all(
            low <= mid <= high
            for low, mid, high in zip(*(found[name] for name in ("low", "median", "high")), strict=True)
        )
    assert reached({"seconds": [1, 2, 3, 4], "median": [0.1, 0.3, 0.2, 0.4]}, 0.3) == 4
    assert reached({"seconds": [1, 2], "median": [0.1, 0.3]}, 0.5) is None


def test_all_of_a_recording_is_used() -> None:
    one = recording(5)
    table = Table.of(one, trainings(one, seeds=3))

    assert all(len(table.trained(number, "3-9")) == 3 for number in range(5))
    assert Table.of(one, trainings(one), slower=2).epoch_seconds[0] == pytest.approx(
        2 * Table.of(one, trainings(one)).epoch_seconds[0]
    )
