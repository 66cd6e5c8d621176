"""Sweeps in processes of their own, moments to strike at, and the proof that nothing was lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from harness.analysis.verify import verify
from harness.deploy.loading import load_error
from harness.engine.local import WORKER_MODULE, workers_of
from harness.paths import StudyPaths
from harness.study.event_log import read
from harness.study.lock import is_held
from harness.study.state import StudyState, fold
from harness.tracking.audit import audit_study

LONG = os.environ.get("HARNESS_FAULTS") == "long"
PATIENCE = 180.0

TINY = """\
name: tiny
dataset: {source: digits, limit_train: 900}
training: {epochs: 4, precision: float32}
scheduler: {kind: none}
search: {sampler: random, workers: 2}
space:
  depth: [1, 2]
  width: [8, 16]
  dropout: {type: float, low: 0.0, high: 0.4}
  learning_rate: auto
  optimizer: [adam, momentum]
"""


def tiny(**changes: str) -> str:
    """The experiment file `tiny.yaml`; `section__key=value` as YAML for `--set`."""
    Path("tiny.yaml").write_text(TINY)
    return "tiny.yaml"


def harness(
    *arguments: str, code: int | None = 0, timeout: float = 300, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `prefix` is what stands before it."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "harness", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert code is None or done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    return done


@dataclass
class Running:
    """A command that is running, in a process group of its own."""

    process: subprocess.Popen[str]
    said: Path

    def workers(self) -> list[psutil.Process]:
        """Its worker processes, by their numbers."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                arguments = child.cmdline()
            except psutil.Error:
                continue  # it has just ended
            if WORKER_MODULE in arguments:
                number = next(one for one in arguments if one.startswith("--worker="))
                found.append((int(number.removeprefix("--worker=")), child))
        return [child for _, child in sorted(found, key=lambda one: one[0])]

    def kill_group(self) -> None:
        """The coordinator and every worker, at once; workers have sessions of their own."""
        workers = self.workers()
        for process in (self.process, *workers):
            process.send_signal(signal.SIGKILL)
        self.wait()

    def wait(self, timeout: float = PATIENCE) -> int:
        """Until it has ended; its exit status."""
        return self.process.wait(timeout)

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return self.said.read_text()


@contextmanager
def running(*arguments: str, script: str | None = None, prefix: Sequence[str] = ()) -> Iterator[Running]:
    """Start a command; whatever is left of it at the end is killed.

    Args:
        arguments: of `harness`.
        script: Python to run first in the coordinator's process.
        prefix: a command that replaces itself by the one after it.
    """
    said = Path(f"stderr-{time.monotonic_ns()}.txt")
    command = [*prefix, sys.executable, "-m", "harness", *arguments]
    if script is not None:
        command = [
            sys.executable, "-c", f"{script}\nfrom harness.cli import main\nmain()", *arguments
        ]  # fmt: skip
    with said.open("w") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=stderr, text=True, start_new_session=True
        )
        started = Running(process, said)
        try:
            yield started
        finally:
            if process.poll() is None:
                started.kill_group()


def events(study: str) -> list[dict[str, Any]]:
    """The study's events so far, as a bystander reads them."""
    try:
        content = StudyPaths.of(study).log.read_text()
    except FileNotFoundError:
        return []
    found = []
    for line in content.splitlines():
        try:
            found.append(json.loads(line)["event"])
        except ValueError:
            break
    return found


def until(what: Callable[[], Any], process: Running | None = None, timeout: float = PATIENCE) -> Any:
    """Wait until `what()` is something; fails if the process ends before."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        if process is not None and process.process.poll() is not None:
            found = what()
            assert found, f"it ended before: {process.stderr}"
            return found
        time.sleep(0.02)
    raise AssertionError("it never happened" + (f": {process.stderr}" if process else ""))


def seen(study: str, kind: str, **values: Any) -> Callable[[], dict[str, Any] | None]:
    """Whether the log has such an event."""

    def look() -> dict[str, Any] | None:
        for event in events(study):
            if event["kind"] == kind and all(event.get(name) == value for name, value in values.items()):
                return event
        return None

    return look


def state_of(study: str) -> StudyState:
    """The study as its log tells it."""
    return fold(read(StudyPaths.of(study).log))


def proven(study: str, trials: int | None = None) -> StudyState:
    """V1 to V7 hold, and the study has exactly so many trials."""
    paths = StudyPaths.of(study)
    records = read(paths.log)
    state = fold(records)
    checks = verify(
        paths,
        records,
        audit_study(paths, records),
        lambda: is_held(paths),
        workers_of(paths),
        load_error,
    )
    problems = {check.name: check.problems + check.notes for check in checks if check.problems + check.notes}
    assert not problems, problems
    if trials is not None:
        assert list(state.trials) == list(range(trials))
        assert state.ended is not None
        assert state.ended.complete
    return state


def leaderboard(study: str, prefix: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The leaderboard without what is time; `prefix` is what stands before the command."""
    rows = json.loads(harness("leaderboard", study, "--json", prefix=prefix).stdout)
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
