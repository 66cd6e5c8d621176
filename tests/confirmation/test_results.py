"""What a confirmation says: who is best, tied or behind, whose model stands for it, and what was luck."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cli.tables import print_findings
from harness.comparison.seeds import mean_interval
from harness.confirmation.results import findings
from tests.confirmation.drawn import KilledError, confirmation, confirmed, from_table, searched

CLEAR = {
    0: [0.80, 0.81, 0.82, 0.81, 0.80],
    1: [0.95, 0.94, 0.96, 0.95, 0.93],
    2: [0.81, 0.80, 0.83, 0.81, 0.80],
}


def test_a_clear_winner_is_declared_and_what_was_the_sweeps_best_was_lucky(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = searched([0.99, 0.9, 0.9])
    state = confirmed(tmp_path / "c", confirmation(study, 3, 5), from_table(CLEAR))
    found = findings(state)
    assert found.complete
    assert found.declared
    assert (found.chosen, found.tied) == (1, (1,))
    assert [row.verdict for row in found.configurations] == ["best", "behind", "clearly behind"]
    assert [row.trial for row in found.configurations] == [1, 0, 2], "who has all seeds comes first"
    assert [len(row.scores) for row in found.configurations] == [5, 5, 2], "the sweep's best has all seeds"
    best = found.configurations[0]
    assert best.scores == tuple(CLEAR[1])
    assert best.interval == pytest.approx(mean_interval(CLEAR[1]))
    assert best.behind is None
    assert found.configurations[1].behind is not None
    assert found.configurations[1].behind.value == pytest.approx(fmean(CLEAR[1]) - fmean(CLEAR[0]))
    assert found.luck is not None
    assert found.luck.bias == pytest.approx(0.99 - fmean(CLEAR[0]))
    assert found.luck.low < found.luck.bias < found.luck.high
    assert found.champion is not None
    assert state.trials[found.champion].score == 0.95, "the median of its seeds"
    print_findings(found, None, "image")
    said = capsys.readouterr().out
    assert "Trial 1 of s is the best: val_accuracy 0.9460 over 5 seeds" in said
    assert "0.1820 of the sweep's best score was luck" in said
    assert "Test" not in said


def test_what_seeds_cannot_tell_apart_is_tied_and_the_best_mean_is_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = {0: [0.80, 0.90, 0.85], 1: [0.86, 0.84, 0.88], 2: [0.84, 0.85, 0.83]}
    found = findings(confirmed(tmp_path / "c", confirmation(searched([0.9] * 3), 3, 3), from_table(table)))
    assert not found.declared
    assert found.chosen == 1
    assert set(found.tied) == {0, 1, 2}
    assert {row.verdict for row in found.configurations} == {"tied"}
    print_findings(found, None, "image")
    assert "Trials 0, 1 and 2 of s are tied: 3 seeds cannot tell them apart." in capsys.readouterr().out


def test_where_small_is_good(tmp_path: Path) -> None:
    table = {0: [0.50, 0.51, 0.52], 1: [0.10, 0.11, 0.12]}
    wanted = confirmation(searched([0.05, 0.2], minimize=True), 2, 3)
    found = findings(confirmed(tmp_path / "c", wanted, from_table(table)))
    assert (found.declared, found.chosen) == (True, 1)
    assert found.configurations[0].mean == pytest.approx(0.11)
    assert found.chosen_interval is not None
    assert found.chosen_interval.low < 0.11 < found.chosen_interval.high
    # the end that luck has made too good is the lower one here
    assert 0.11 - found.chosen_interval.low <= found.chosen_interval.high - 0.11
    assert found.configurations[1].behind is not None
    assert found.configurations[1].behind.value == pytest.approx(0.4)
    assert found.luck is not None
    assert found.luck.bias == pytest.approx(0.51 - 0.05)


def test_who_failed_or_was_dropped_is_named_so(tmp_path: Path) -> None:
    table = {
        0: [0.90, 0.91, 0.92], 1: [0.5, 0.51, 0.5], 2: [0.91, math.nan, 0.9], 3: [0.92, 0.90, 0.91],
    }  # fmt: skip
    found = findings(confirmed(tmp_path / "c", confirmation(searched([0.9] * 4), 4, 3), from_table(table)))
    verdicts = {row.trial: (row.verdict, len(row.scores)) for row in found.configurations}
    assert verdicts[1] == ("clearly behind", 2)
    assert verdicts[2][0] == "failed"
    assert verdicts[0] == verdicts[3] == ("tied", 3)


def test_one_configuration_has_nobody_to_be_better_than(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = findings(
        confirmed(tmp_path / "c", confirmation(searched([0.9]), 1, 3), from_table({0: [0.8, 0.9, 0.7]}))
    )
    assert (found.declared, found.chosen) == (False, 0)
    assert found.chosen_interval == pytest.approx(mean_interval([0.8, 0.9, 0.7]))
    print_findings(found, None, "image")
    assert "Trial 0 of s: val_accuracy 0.8000 over 3 seeds" in capsys.readouterr().out


def test_before_all_is_trained_nothing_is_decided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = confirmation(searched([0.9] * 3), 3, 5)
    with pytest.raises(KilledError):
        confirmed(tmp_path / "c", wanted, from_table(CLEAR), stop_after=30)
    from harness.study.event_log import read
    from harness.study.state import fold

    found = findings(fold(read(tmp_path / "c" / "events.jsonl")))
    assert not found.complete
    assert (found.chosen, found.champion, found.declared, found.tied) == (None, None, False, ())
    assert {row.verdict for row in found.configurations} == {"unfinished"}
    print_findings(found, None, "image")
    assert "unfinished" in capsys.readouterr().out


def test_nothing_succeeded(tmp_path: Path) -> None:
    wanted = confirmation(searched([0.9] * 2), 2, 2)
    found = findings(confirmed(tmp_path / "c", wanted, lambda _, __: math.nan))
    assert found.complete
    assert (found.chosen, found.luck) == (None, None)
    assert [row.verdict for row in found.configurations] == ["failed", "failed"]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5),
)
def test_the_chosen_one_has_the_best_mean_and_its_interval_holds_it(
    tmp_path_factory: pytest.TempPathFactory, scores: list[list[float]]
) -> None:
    wanted = confirmation(searched([0.9] * len(scores)), len(scores), 3)
    table = from_table(dict(enumerate(scores)))
    found = findings(confirmed(tmp_path_factory.mktemp("c") / "c", wanted, table))
    whole = [row for row in found.configurations if len(row.scores) == 3]
    assert found.configurations[0].trial == found.chosen == found.tied[0]
    best = found.configurations[0].mean
    assert best is not None
    assert best == max(row.mean for row in whole if row.mean is not None)
    assert found.chosen_interval is not None
    assert found.chosen_interval.low <= best <= found.chosen_interval.high
    assert found.declared == (len(found.tied) == 1 and len(scores) > 1)
