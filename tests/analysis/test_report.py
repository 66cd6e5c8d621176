"""The report: one page, no network, nothing of the outside let in unescaped."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.importance import importances
from harness.analysis.report import write_report
from harness.records import (
    Environment,
    EpochEnded,
    Evaluation,
    LogRecord,
    SegmentEnded,
    TrialEnded,
    TrialStarted,
)
from harness.study.state import fold
from tests.studies import DATASET, experiment, study_started

HOSTILE = "</script><img src=x onerror=alert(1)>"


def events(count: int) -> list[Any]:
    searched = experiment(
        description=HOSTILE,
        space={"depth": {"type": "int", "low": 1, "high": 3}, "width": [8, 16]},
        objectives=[{"metric": "val_accuracy"}, {"metric": "parameters"}],
        scheduler={"kind": "none"},
    )
    opened = study_started(searched, dataset=replace(DATASET, name=HOSTILE, classes=("cat", "dog")))
    found: list[Any] = [opened]
    for number in range(count):
        depth = number % 3 + 1
        score = 0.5 + 0.1 * depth
        params = {"depth": depth, "width": 8 if number % 2 else 16}
        evaluation = Evaluation(
            split="validation",
            metrics={"accuracy": score},
            per_class=[
                {"class": name, "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 2}
                for name in (HOSTILE, "dog")
            ],
            confusion=[[2, 0], [1, 1]],
        )
        found += [
            TrialStarted(trial=number, params=params, sampled=params, seed=0, time=0),
            EpochEnded(trial=number, attempt=1, epoch=1, metrics={"val_accuracy": score}, time=0),
            SegmentEnded(
                trial=number, attempt=1, epoch=1, over=True, seconds=1, evaluations=[evaluation], time=0
            ),
            TrialEnded(
                trial=number, state="complete", score=score, values=[score, float(depth)], epoch=1, reason="",
                failure=None, traceback="", time=0,
            ),
        ]  # fmt: skip
    return found


def state(count: int) -> Any:
    return fold(LogRecord(seq, event) for seq, event in enumerate(events(count), 1))


@pytest.mark.parametrize("count", [0, 1, 12])
def test_the_page_stands_alone_and_escapes_what_comes_from_outside(count: int, tmp_path: Path) -> None:
    write_report(state(count), tmp_path / "report.html", tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert HOSTILE not in page
    assert "onerror=alert(1)>" not in page
    own = page.split("</head>")[1]
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", own)
    assert ("Leaderboard" in page) and ("Confusion matrix of trial 2" in page) == (count > 2)
    assert "Pareto front" in page


def test_the_page_says_what_the_study_was_run_with(tmp_path: Path) -> None:
    machine = Environment(
        processor="Model 1", instruction_sets=("avx2", "fma"), cores=2, gpus=("Card",), gpu_driver="570",
        workers=3, threads=4, threads_between=1, variables={"TF_ENABLE_ONEDNN_OPTS": "0"},
    )  # fmt: skip
    started = replace(
        events(0)[0],
        environment=machine,
        git_commit="c0ffee+changes",
        uncommitted=f"+{HOSTILE}",
        dataset=replace(DATASET, split_digests={"train": "5b" * 32}),
    )
    write_report(fold([LogRecord(1, started)]), tmp_path / "report.html", tmp_path)
    page = (tmp_path / "report.html").read_text().split("</head>")[1]
    for told in (
        "Model 1 (avx2 fma)", "Card, driver 570", "4 in each of 3 workers", "TF_ENABLE_ONEDNN_OPTS=0",
        "c0ffee+changes", "train 5b5b5b5b5b5b",
    ):  # fmt: skip
        assert told in page
    assert "uncommitted changes" in page
    assert HOSTILE not in page


def test_what_matters_is_found_important() -> None:
    found = importances(state(30))
    assert max(found, key=found.__getitem__) == "depth"
    assert sum(found.values()) == pytest.approx(1)
    assert importances(state(2)) == {}
