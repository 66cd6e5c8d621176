"""Two coordinators on one study, and two studies at once in one fresh folder."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from harness.engine.local import workers_of
from harness.paths import StudyPaths
from tests.faults.support import events, harness, proven, running, seen, tiny, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

LONGER = ["--trials", "25", "--epochs", "15"]
"""Still running when three commands have been refused."""


def test_a_second_coordinator_is_refused_by_name_and_the_first_is_undisturbed() -> None:
    began = time.time()
    with running("sweep", tiny(), "--study", "s", *LONGER) as first:
        until(seen("s", "trial_ended", trial=1), first)
        for command in (
            ["sweep", tiny(), "--study", "s", *LONGER],
            ["resume", "s"],
            ["sync", "s"],
        ):
            done = harness(*command, code=1)
            said = done.stderr.strip()
            assert said.startswith("Error: The study s is being run by process "), said
            assert said.count("\n") == 0
            assert f"process {first.process.pid} on {socket.gethostname()}" in said
            since = re.search(r"since (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", said)
            assert since is not None
            started = time.mktime(time.strptime(since[1], "%Y-%m-%d %H:%M:%S"))
            assert began - 1 <= started <= time.time()
        assert first.process.poll() is None, "the first had ended before the last was refused"
        assert first.wait() == 0, first.stderr
    state = proven("s", 25)
    assert state.sessions == 1
    assert {trial.attempts for trial in state.trials.values()} == {1}


def test_of_two_coordinators_started_at_once_one_runs_and_one_is_refused() -> None:
    command = ["sweep", tiny(), "--study", "s", "--trials", "4"]
    with running(*command) as one, running(*command) as other:
        codes = sorted([one.wait(), other.wait()])
        said = one.stderr + other.stderr
        # The later one may also have come when the first had ended; then there is nothing left to do.
        assert codes in ([0, 1], [0, 0]), said
        assert ("is being run by" in said) == (codes == [0, 1])
        assert "Traceback" not in said
    proven("s", 4)


def test_a_dead_owners_lock_is_taken_over() -> None:
    with running("sweep", tiny(), "--study", "s", *LONGER) as first:
        until(seen("s", "trial_ended", trial=1), first)
        first.process.kill()
        first.wait()
    owner = StudyPaths.of("s").folder / "owner.json"
    assert str(first.process.pid) in owner.read_text()
    until(lambda: not workers_of(StudyPaths.of("s")), timeout=10)
    harness("resume", "s")
    assert proven("s", 25).sessions == 2
    assert not owner.exists()


def test_two_studies_at_once_in_one_fresh_folder() -> None:
    tiny()
    with (
        running("sweep", "tiny.yaml", "--study", "a", "--trials", "3", "--workers", "1") as one,
        running("sweep", "tiny.yaml", "--study", "b", "--trials", "3", "--workers", "1") as other,
    ):
        assert one.wait() == 0, one.stderr
        assert other.wait() == 0, other.stderr
    for study in ("a", "b"):
        proven(study, 3)
        owners = {event["host"]["name"] for event in events(study) if event["kind"] == "study_started"}
        assert owners == {socket.gethostname()}
    for database, names, version in (
        ("mlflow.db", "SELECT name FROM experiments", "alembic_version"),
        (".harness/optuna.db", "SELECT study_name FROM studies", "version_info"),
    ):
        with closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute(f"SELECT count(*) FROM {version}").fetchone() == (1,)
            found = [row[0] for row in connection.execute(names)]
            assert len(found) == len(set(found)) == 2
    assert not [entry for entry in Path().rglob(".tmp-*") if entry.is_file()]
    # One folder of prepared data, made by one of the two.
    prepared = list(Path(os.environ["HARNESS_CACHE"], "datasets").glob("*/manifest.json"))
    assert len(prepared) == 1
