"""kill -9 and ctrl-C of workers, coordinator, or everything, at chosen and at random moments."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.paths import StudyPaths
from tests.faults.support import (
    LONG,
    PATIENCE,
    events,
    harness,
    leaderboard,
    proven,
    running,
    seen,
    tiny,
    until,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

MOMENTS = 40 if LONG else 6
REACH = 0.7
"""Of an undisturbed run's time: later moments would often find the study ended already."""
PLAIN = ["--trials", "10"]
LASTING = [*PLAIN, "--epochs", "60"]
"""Goes on for seconds after whatever is waited for, so that what strikes it then strikes it at work."""
ORDERED = [
    "--trials", "14", "--epochs", "9", "--ordered",
    "--set", "search.sampler=tpe", "--set", "scheduler.kind=asha",
]  # fmt: skip


def test_a_killed_worker_costs_at_most_the_epoch_it_was_in() -> None:
    with running("sweep", tiny(), "--study", "s", *LASTING) as sweep:
        until(seen("s", "epoch_ended", trial=7, epoch=1), sweep)
        started = seen("s", "segment_started", trial=7)()
        assert started is not None
        sweep.workers()[started["worker"]].kill()
        assert sweep.wait() == 0
    state = proven("s", 10)
    assert state.trials[7].attempts == 2
    assert state.trials[7].state == "complete"


def test_all_workers_killed_at_once() -> None:
    with running("sweep", tiny(), "--study", "s", *LASTING) as sweep:
        until(seen("s", "epoch_ended", trial=3, epoch=2), sweep)
        for worker in sweep.workers():
            worker.kill()
        assert sweep.wait() == 0
    proven("s", 10)


@pytest.mark.parametrize("how", [PLAIN, ORDERED], ids=["random-none", "tpe-asha-ordered"])
def test_killed_at_random_moments_a_study_ends_like_an_undisturbed_one(how: list[str]) -> None:
    """Coordinator alone or everything, again and again: the leaderboard is the same to the last bit."""
    trials = int(how[1])
    began = time.monotonic()
    harness("sweep", tiny(), "--study", "whole", *how)
    whole = time.monotonic() - began
    proven("whole", trials)
    expected = leaderboard("whole")
    rng = random.Random(len(how))
    killed = ended = 0
    while killed < MOMENTS:
        killed += _cut_and_resumed(f"cut-{ended}", how, rng, whole, MOMENTS - killed)
        proven(f"cut-{ended}", trials)
        assert leaderboard(f"cut-{ended}") == expected
        ended += 1


def _cut_and_resumed(study: str, how: list[str], rng: random.Random, whole: float, most: int) -> int:
    """Kill a study at random moments, at most `most` times, until it has ended; how often it was killed."""
    killed = 0
    while True:
        command = ["resume", study] if events(study) else ["sweep", tiny(), "--study", study, *how]
        with running(*command) as sweep:
            deadline = time.monotonic() + (rng.uniform(0.0, REACH * whole) if killed < most else PATIENCE)
            while time.monotonic() < deadline and sweep.process.poll() is None:
                time.sleep(0.01)
            if sweep.process.poll() is not None:
                assert sweep.wait() == 0, sweep.stderr
                return killed
            killed += 1
            if killed % 2:
                sweep.kill_group()
            else:
                sweep.process.kill()
                sweep.wait()
                until(lambda: not _alive(study), timeout=10)


def _alive(study: str) -> list[int]:
    from harness.engine.local import workers_of

    return workers_of(StudyPaths.of(study))


def test_a_copy_of_the_folder_at_a_random_moment_can_be_gone_on_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a power cut leaves: files as they are at one moment, without their processes."""
    import shutil

    rng = random.Random(3)
    with running("sweep", tiny(), "--study", "s", *PLAIN) as sweep:
        for number in range(8 if LONG else 2):
            until(seen("s", "epoch_ended", trial=2 + number), sweep)
            time.sleep(rng.uniform(0, 0.3))
            shutil.copytree(Path.cwd(), Path.cwd().parent / f"copy-{number}", copy_function=_copy)
        assert sweep.wait() == 0
    board = leaderboard("s")
    for number in range(8 if LONG else 2):
        monkeypatch.chdir(Path.cwd().parent / f"copy-{number}")
        harness("resume", "s")
        proven("s", 10)
        assert leaderboard("s") == board


def _copy(source: str, target: str) -> None:
    import shutil

    with contextlib.suppress(FileNotFoundError):  # it was renamed meanwhile
        shutil.copy2(source, target)


def test_ctrl_c_once_stops_the_sweep_and_says_how_to_go_on() -> None:
    with running("sweep", tiny(), "--study", "s", *LASTING) as sweep:
        until(seen("s", "epoch_ended", trial=2), sweep)
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.wait(30) == 130
    assert "harness resume s" in sweep.stderr
    proven("s")
    harness("resume", "s")
    state = proven("s", 10)
    # No whole epoch is trained twice.
    told = [(event["trial"], event["epoch"]) for event in events("s") if event["kind"] == "epoch_ended"]
    assert len(told) == len(set(told))
    assert state.sessions == 2


LONG_EPOCH = ("--set", "training.epoch_images=5000000")
"""An epoch of so many of the digits takes longer than anybody waits here."""


@pytest.mark.parametrize("how", ["ctrl-C", "time limit"])
def test_a_sweep_ends_in_the_middle_of_a_long_epoch(how: str) -> None:
    # In order nothing is refused for taking too long.
    limit = ("--timeout", "20", "--ordered") if how == "time limit" else ()
    with running("sweep", tiny(), "--study", "s", *PLAIN, *LONG_EPOCH, *limit) as sweep:
        until(seen("s", "segment_started", trial=1), sweep)
        if how == "ctrl-C":
            time.sleep(2)
            sweep.process.send_signal(signal.SIGINT)
        code = sweep.wait(60)
    assert (code, how) in ((130, "ctrl-C"), (0, "time limit"))
    assert ("Stopping within the running epochs" if how == "ctrl-C" else "time limit of 20 s") in sweep.stderr
    assert "harness resume s" in sweep.stderr
    assert not any(event["kind"] == "epoch_ended" for event in events("s"))
    assert not _alive("s")
    harness("verify", "s")


def test_ctrl_c_twice_ends_before_400_epochs_do_and_can_be_gone_on_with() -> None:
    with running("sweep", tiny(), "--study", "s", *PLAIN, "--epochs", "400") as sweep:
        until(seen("s", "epoch_ended", trial=1), sweep)
        sweep.process.send_signal(signal.SIGINT)
        sweep.process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.wait(30) == 130
    assert "harness resume s" in sweep.stderr
    assert not _alive("s")


def test_ctrl_c_during_a_model_write() -> None:
    with running("sweep", tiny(), "--study", "s", *PLAIN) as sweep:
        until(lambda: list(Path(".harness").rglob(".tmp-*model.keras")), sweep)
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.wait(30) == 130
    harness("resume", "s")
    proven("s", 10)


def test_killed_during_a_model_write_no_torn_model_is_left() -> None:
    with running("sweep", tiny(), "--study", "s", *PLAIN) as sweep:
        until(lambda: list(Path(".harness").rglob(".tmp-*model.keras")), sweep)
        sweep.kill_group()
    harness("resume", "s")
    proven("s", 10)


def test_sigterm_with_a_deadline_of_ten_seconds() -> None:
    """As a cluster's preemption: SIGTERM, and SIGKILL ten seconds later."""
    with running("sweep", tiny(), "--study", "s", *LASTING) as sweep:
        until(seen("s", "epoch_ended", trial=2), sweep)
        os.kill(sweep.process.pid, signal.SIGTERM)
        assert sweep.wait(10) == 130
    proven("s")
    harness("resume", "s")
    proven("s", 10)


TAKE_TERMINAL = (
    "import fcntl, os, signal, sys, termios\n"
    "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    "os.setsid()\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)
"""Makes standard input the controlling terminal of the command that follows, as a login does, however the
tests themselves were started (under `nohup`, for example)."""


def test_a_terminal_that_is_closed_is_answered_like_a_sigterm() -> None:
    """The sweep's terminal is gone, so that whatever it says fails; epochs are finished all the same."""
    terminal, of_the_sweep = pty.openpty()
    os.set_blocking(terminal, False)
    command = [sys.executable, "-m", "harness", "sweep", tiny(), "--study", "s", *LASTING]
    with subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL, *command],
        stdin=of_the_sweep,
        stdout=of_the_sweep,
        stderr=of_the_sweep,
    ) as sweep:
        os.close(of_the_sweep)

        def shown_and_seen() -> Any:
            with contextlib.suppress(BlockingIOError):
                os.read(terminal, 1 << 20)
            return seen("s", "epoch_ended", trial=2)()

        until(shown_and_seen)
        os.close(terminal)
        assert sweep.wait(30) == 130
    proven("s")
    harness("resume", "s")
    state = proven("s", 10)
    told = [(event["trial"], event["epoch"]) for event in events("s") if event["kind"] == "epoch_ended"]
    assert len(told) == len(set(told))
    assert state.sessions == 2


def test_nohup_has_hang_ups_ignored() -> None:
    with running("sweep", tiny(), "--study", "s", *LASTING, prefix=["nohup"]) as sweep:
        until(seen("s", "epoch_ended", trial=2), sweep)
        sweep.process.send_signal(signal.SIGHUP)
        assert sweep.wait() == 0
    proven("s", 10)


def test_status_tells_a_sweep_that_runs_from_one_that_is_gone() -> None:
    with running("sweep", tiny(), "--study", "s", *LASTING) as sweep:
        until(seen("s", "epoch_ended", trial=2), sweep)
        alive = harness("status", "s").stdout
        sweep.kill_group()
    gone = harness("status", "s").stdout
    assert f"run by process {sweep.process.pid}" in alive
    assert "harness resume" not in alive
    assert "not running: it was cut off" in gone
    assert "harness resume s" in gone
