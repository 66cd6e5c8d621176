"""One coordinator at a time, whoever it is and however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import StudyError
from harness.paths import StudyPaths
from harness.study.lock import is_held, owner, study_lock

HOLDER = """
import sys, time
from harness.paths import StudyPaths
from harness.study.lock import study_lock
with study_lock(StudyPaths.of("s")):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def paths() -> StudyPaths:
    found = StudyPaths.of("s")
    found.folder.mkdir(parents=True)
    return found


def test_a_study_is_held_for_as_long_as_its_lock(paths: StudyPaths) -> None:
    assert not is_held(paths)
    assert owner(paths) is None
    with study_lock(paths):
        assert is_held(paths)
        said = owner(paths)
        assert said is not None
        assert said.startswith(f"process {os.getpid()} on ")
    assert not is_held(paths)
    assert owner(paths) is None
    assert list(paths.folder.glob("owner*")) == []


def test_another_process_is_named_and_its_death_lets_go(paths: StudyPaths) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(StudyError, match=f"The study s is being run by process {holder.pid} on"),
        study_lock(paths),
    ):
        raise AssertionError("it is held by another process")
    assert is_held(paths)
    holder.kill()
    holder.communicate()
    assert not is_held(paths)
    with study_lock(paths):
        said = owner(paths)
    assert said is not None
    assert f"process {os.getpid()} " in said


@pytest.mark.parametrize("content", ["", "{}", "[]", "{", "\x00"])
def test_an_owner_that_cannot_be_read_is_another_process(paths: StudyPaths, content: str) -> None:
    with study_lock(paths):
        paths.owner.write_text(content)
        assert owner(paths) == "another process"


def test_what_fails_inside_lets_go(paths: StudyPaths) -> None:
    with pytest.raises(ZeroDivisionError), study_lock(paths):
        _ = 1 / 0
    assert not is_held(paths)
    assert not Path(paths.owner).exists()
