"""Tables fit the terminal they are printed on, and are whole where there is none."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from harness.cli.tables.columns import Column, column, fit
from harness.cli.tables.trial import print_trial
from harness.experiment.load import dump, load
from harness.experiment.parameters import complete
from harness.paths import StudyPaths
from harness.records import (
    Dataset,
    Environment,
    EpochEnded,
    Evaluation,
    Params,
    SegmentEnded,
    SegmentStarted,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialStarted,
)
from harness.study.event_log import EventLog
from harness.study.trial import Trial
from tests.studies import study_started

CLASSES = tuple(
    f"{name} with a long name" for name in ("airplane", "automobile", "bird", "cat", "deer", "dog")
)
EPOCHS = 3
METRICS = (
    "loss", "accuracy", "val_loss", "val_accuracy", "val_precision_macro", "val_recall_macro", "val_f1_macro",
    "val_balanced_accuracy", "learning_rate", "epoch_seconds", "images_per_second",
)  # fmt: skip
VARYING = (
    "depth",
    "width",
    "head",
    "dropout",
    "l2",
    "augmentation",
    "optimizer",
    "learning_rate",
    "batch_size",
)


@pytest.fixture
def drawn() -> None:
    """A study called `wide` of three trials, the last of which has failed."""
    paths = StudyPaths.of("wide")
    paths.folder.mkdir(parents=True)
    experiment = load("quickstart", ["search.trials=3", f"training.epochs={EPOCHS}"])
    dataset = Dataset(
        name="drawn",
        folder="nowhere",
        split="split.npz",
        digest="0" * 64,
        classes=CLASSES,
        image_shape=(8, 8, 1),
        counts={"train": 60, "validation": 30, "test": 30},
        class_counts=dict.fromkeys(CLASSES, 10),
    )
    evaluation = Evaluation(
        split="validation",
        metrics=dict.fromkeys(METRICS[:6], 0.5),
        per_class=[
            {"class": name, "precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 5} for name in CLASSES
        ],
        confusion=[[5 * (row == column) for column in range(len(CLASSES))] for row in range(len(CLASSES))],
    )
    log = EventLog(paths.log)
    log.append(
        StudyStarted(
            study="wide", study_id="f" * 32, session=1, experiment=dump(experiment), dataset=dataset, seed=0,
            trials=3, versions={}, host={}, git_commit=None, time=1000,
        )
    )  # fmt: skip
    for number in range(3):
        values = (
            number + 1, 16 * (number + 1), ("flatten", "global")[number % 2], 0.1 * number, 1e-5 * number,
            ("none", "shift")[number % 2], ("adam", "momentum", "nesterov")[number], 0.001 * (number + 1),
            32 * (number + 1),
        )  # fmt: skip
        params = {"family": "cnn", **dict(zip(VARYING, values, strict=True))}
        log.append(TrialStarted(trial=number, params=params, sampled=params, seed=1, time=1001))
        log.append(SegmentStarted(trial=number, attempt=1, start=0, stop=3, worker=0, time=1002))
        for epoch in range(1, EPOCHS + 1):
            metrics = dict.fromkeys(METRICS, 0.1 * epoch + 0.01 * number)
            log.append(EpochEnded(trial=number, attempt=1, epoch=epoch, metrics=metrics, time=1003))
        failed = number == 2
        if not failed:
            log.append(
                SegmentEnded(
                    trial=number, attempt=1, epoch=EPOCHS, over=True, seconds=2.0, evaluations=[evaluation],
                    time=1004,
                )
            )  # fmt: skip
        log.append(
            TrialEnded(
                trial=number, state="failed" if failed else "complete", epoch=EPOCHS,
                score=None if failed else 0.3, values=None if failed else [0.3],
                reason="the loss is not a number any more " * 3,
                failure="diverged" if failed else None, traceback="", time=1005,
            )
        )  # fmt: skip
    log.append(StudyEnded(reason="all 3 trials have ended", complete=True, time=1006))
    log.close()


def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments], capture_output=True, text=True, timeout=120, check=True
    )


def on_a_terminal(width: int, *arguments: str) -> tuple[list[str], str]:
    """The lines on a terminal so wide, and standard error."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=os.environ | {"COLUMNS": str(width), "TERM": "dumb"},
        text=True,
    ) as running:
        os.close(theirs)
        shown = b"".join(_read(ours)).decode()
        assert running.stderr is not None
        said = running.stderr.read()
    assert running.returncode == 0, said
    return shown.replace("\r\n", "\n").splitlines(), said


def _read(descriptor: int) -> Iterator[bytes]:
    with suppress(OSError):  # Linux says so at the end
        while chunk := os.read(descriptor, 1 << 16):
            yield chunk
    os.close(descriptor)


@pytest.mark.slow
@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.usefixtures("drawn")
def test_every_table_fits(width: int) -> None:
    for arguments in (["leaderboard"], ["show", "0"], ["show", "2"], ["plan", "cifar10"], ["status"]):
        lines, _ = on_a_terminal(width, *arguments)
        assert len(lines) > 3
        if arguments == ["status"]:  # a path is not broken, so that it can be copied
            lines = [line for line in lines if not line.startswith(" ") and not line.startswith("folder")]
        assert max(map(cell_len, lines)) <= width, "\n".join(lines)


@pytest.mark.slow
@pytest.mark.usefixtures("drawn")
def test_what_matters_stays_and_what_is_left_out_is_named() -> None:
    whole = harness("leaderboard")
    every = whole.stdout.splitlines()[0].split()
    assert whole.stderr == ""
    assert {"val_loss", "val_f1_macro", "parameters", "seconds", "reason", *VARYING} <= set(every)
    lines, said = on_a_terminal(100, "leaderboard")
    head = lines[0].split()
    assert head[:4] == ["rank", "trial", "state", "score"]
    assert {"epochs", "depth", "width", "optimizer", "learning_rate"} <= set(head)
    assert "--csv" in said
    assert "--json" in said
    named = said.partition(":")[2].partition(".")[0].replace("\n", " ").split(", ")
    assert {name.strip() for name in named} == set(every) - set(head)
    assert len(lines) == 4
    assert set(harness("leaderboard", "--csv").stdout.splitlines()[0].split(",")) > set(every)


@pytest.mark.slow
@pytest.mark.usefixtures("drawn")
def test_a_wide_terminal_leaves_nothing_out() -> None:
    lines, said = on_a_terminal(400, "leaderboard")
    assert said == ""
    assert lines == harness("leaderboard").stdout.splitlines()


@pytest.mark.slow
@pytest.mark.usefixtures("drawn")
def test_the_objective_is_always_shown() -> None:
    lines, said = on_a_terminal(40, "show", "0")
    (head,) = [line.split() for line in lines if line.startswith("epoch")]
    assert "val_accuracy" in head
    assert "val_balanced_accuracy" in said
    assert "confusion matrix is too wide" in said


columns = st.lists(
    st.builds(
        lambda name, cells, importance, least: column(name, cells, importance=importance, least=least),
        st.text(min_size=1, max_size=12),
        st.lists(st.text(max_size=30) | st.floats() | st.none(), min_size=2, max_size=2),
        st.integers(1, 5),
        st.none() | st.integers(2, 8),
    ),
    max_size=8,
)


@given(columns, st.integers(1, 100))
def test_whatever_the_table_it_fits_and_nothing_is_left_out_without_need(
    table: list[Column], width: int
) -> None:
    def total(some: list[Column]) -> int:
        return sum(one.width for one in some) + 2 * max(0, len(some) - 1)

    shown, left_out = fit(table, width)
    assert len(shown) + len(left_out) == len(table)
    assert total(shown) <= width
    if total(table) <= width:
        assert shown == table
    if left_out:
        gone = [one for one in table if one.name in left_out]
        kept = [one.importance for one in table if one.name not in left_out]
        assert max(kept, default=0) <= max(one.importance for one in gone)


@pytest.mark.parametrize(
    ("params", "there", "left_out"),
    [
        (complete({"family": "pretrained"}), {"backbone", "views"}, {"depth", "augmentation", "momentum"}),
        (
            complete({"family": "cnn", "optimizer": "momentum"}),
            {"depth", "augmentation", "momentum"},
            {"backbone", "focal_gamma", "cell"},
        ),
        (complete({"filters": 3}, "mine:build"), {"filters", "augmentation"}, set()),
    ],
)
def test_a_trial_is_shown_with_the_parameters_that_have_an_effect(
    params: Params, there: set[str], left_out: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    trial = Trial(number=0, params=params, sampled={}, seed=0, started_ms=0)
    print_trial(trial, "val_accuracy", "", study_started(), as_json=False)
    shown = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line}
    assert there <= shown
    assert not left_out & shown
    print_trial(trial, "val_accuracy", "", study_started(), as_json=True)
    assert json.loads(capsys.readouterr().out)["params"] == params


def test_a_trial_is_shown_with_what_its_study_was_run_with(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Environment(
        processor="Model 1", instruction_sets=("avx2", "fma"), cores=4, gpus=("Card",), gpu_driver="570",
        workers=2, threads=2, threads_between=1,
    )  # fmt: skip
    session = study_started(
        environment=machine, versions={"keras": "3"}, git_commit="c0ffee+changes", uncommitted="-a\n+b\n"
    )
    trial = Trial(0, complete({}), {}, 7, 1000)
    print_trial(trial, "val_accuracy", "", session, as_json=False)
    shown = capsys.readouterr().out
    for told in (
        "Model 1 (avx2 fma)", "Card (driver 570)", "2 in each of 2 workers", "keras 3",
        "c0ffee+changes (a diff of 2 lines)", f"digest {'0' * 12}…",
    ):  # fmt: skip
        assert told in shown
    print_trial(trial, "val_accuracy", "", session, as_json=True)
    told = json.loads(capsys.readouterr().out)["session"]
    assert told["environment"]["instruction_sets"] == ["avx2", "fma"]
    assert (told["uncommitted"], told["versions"]) == ("-a\n+b\n", {"keras": "3"})
