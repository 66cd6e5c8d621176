"""The live panel: drawn by a thread of its own while the sweep goes on, and honest about the time left."""

from __future__ import annotations

import io
import os
import pty
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli.display import LiveDisplay, PlainDisplay, open_display
from harness.cli.display.live import MOST_LINES
from harness.experiment.load import dump, load
from harness.experiment.parameters import complete
from harness.records import (
    EpochEnded,
    LogRecord,
    SegmentEnded,
    SegmentStarted,
    StudyStarted,
    TrialEnded,
    TrialStarted,
)
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.sweeping.plan import SweepPlan
from tests.studies import DATASET

EXPERIMENT = load("quickstart", ["search.trials=100", "training.epochs=3"])


def study(complete: int) -> StudyState:
    started = StudyStarted(
        study="s",
        study_id="id",
        session=2,
        experiment=dump(EXPERIMENT),
        dataset=DATASET,
        seed=0,
        trials=100,
        versions={},
        host={},
        git_commit=None,
        time=0,
    )
    state = StudyState()
    state.apply(LogRecord(1, started))
    for number in range(complete):
        add(state, number)
    return state


def add(state: StudyState, number: int) -> None:
    state.trials[number] = Trial(
        number, {}, {}, 0, 0, state="complete", score=0.5, epochs={1: {"val_accuracy": 0.5}}
    )


def plan() -> SweepPlan:
    return SweepPlan(experiment=EXPERIMENT, study_folder=Path(), dataset=DATASET)


def drawn(display: LiveDisplay) -> str:
    text = io.StringIO()
    Console(file=text, width=120).print(display._panel())
    return text.getvalue()


def test_after_a_resume_the_time_left_goes_by_this_session_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    state, now = study(90), 1000.0
    monkeypatch.setattr("harness.cli.display.live.time.monotonic", lambda: now)
    display = LiveDisplay(Console(file=io.StringIO()))
    display.opened(state, plan(), 2)
    display.close()
    now += 60
    assert "left –" in drawn(display)
    add(state, 90)
    assert "left 9:00" in drawn(display)


def test_of_a_thousand_workers_some_have_a_line() -> None:
    display = LiveDisplay(Console(file=io.StringIO()))
    display.opened(study(1000), plan(), 1000)
    display.close()
    for worker in range(1000):
        started = SegmentStarted(trial=worker, attempt=1, start=0, stop=3, worker=worker, time=0)
        display.on_record(LogRecord(worker + 2, started))
    text = drawn(display)
    assert text.count("worker ") == MOST_LINES
    assert f"{1000 - MOST_LINES} more" in text


def test_every_line_names_the_best_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    display, state = PlainDisplay(), study(0)
    display.opened(state, plan(), 1)
    for number, score in enumerate((0.5, 0.75, 0.625, 0.75)):
        events = [
            TrialStarted(
                trial=number, params=complete({}), sampled={}, seed=number, generation=1, time=1
            ),
            EpochEnded(trial=number, attempt=1, epoch=1, metrics={"val_accuracy": score}, time=2),
            SegmentEnded(trial=number, attempt=1, epoch=1, over=True, seconds=1, evaluations=[], time=3),
            TrialEnded(
                trial=number, state="complete", score=score, values=[score], epoch=1, reason="finished",
                failure=None, traceback="", time=4,
            ),
        ]  # fmt: skip
        for event in events:
            record = LogRecord(state.last_seq + 1, event)
            state.apply(record)
            display.on_record(record)
    said = [line.partition("  best ")[2] for line in capsys.readouterr().err.splitlines() if "best" in line]
    assert said == ["0.5000 (trial 0)", "0.7500 (trial 1)", "0.7500 (trial 1)", "0.7500 (trial 1)"]


def test_the_panel_is_drawn_while_trials_are_added() -> None:
    """A dictionary that grows while it is iterated over raises an error in whoever does."""
    state = study(1)
    display = LiveDisplay(Console(file=io.StringIO()))
    display.opened(state, plan(), 2)
    display.close()
    failures: list[BaseException] = []
    adding = threading.Event()

    def draw() -> None:
        try:
            while not adding.is_set():
                drawn(display)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test tells
            failures.append(error)

    drawing = threading.Thread(target=draw)
    drawing.start()
    for number in range(2, 20_000):
        add(state, number)
    adding.set()
    drawing.join()
    assert failures == []


def test_whoever_says_something_to_a_closed_terminal_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, ours = pty.openpty()
    reached = False
    with suppress(OSError), os.fdopen(ours, "w") as stderr:  # nor can it be closed in peace
        monkeypatch.setattr("sys.stderr", stderr)
        monkeypatch.setenv("TERM", "xterm")
        with open_display() as live:
            live.opened(study(3), plan(), 2)
            os.close(terminal)
            live.note("nobody hears this")
        PlainDisplay().note("nor this")
        reached = True
    assert reached


def test_without_a_terminal_no_line_of_progress_is_printed_twice(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for something tells again and again that nothing is done yet."""
    now = 1000.0
    monkeypatch.setattr("harness.cli.display.plain.time.monotonic", lambda: now)
    display = PlainDisplay()
    for done in (0, 0, 0, 1, 1, 2, 2):
        now += 60
        display.progress("measuring", done, 2)
    display.progress("decoding", 0, 2)
    display.progress("decoding", 2, 2)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "measuring: 0 of 2", "measuring: 1 of 2", "measuring: 2 of 2", "decoding: 0 of 2", "decoding: 2 of 2"
    ]  # fmt: skip
