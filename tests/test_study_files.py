"""Every keeper of a study's files keeps the same promises."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harness.study_files import Stamp, StudyFiles, study_files
from tests.memory_files import MemoryFiles

NAME = "trials/00001/checkpoint-00002-1.ckpt"


@pytest.fixture(params=["local", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> StudyFiles:
    return study_files(tmp_path / "study") if request.param == "local" else MemoryFiles()


def test_what_was_written_is_read_until_it_is_removed(files: StudyFiles) -> None:
    with pytest.raises(FileNotFoundError):
        files.read(NAME)
    files.write(NAME, lambda local: local.write_bytes(b"first"))
    assert files.read(NAME) == b"first"
    files.write(NAME, lambda local: local.write_bytes(b"second"))
    assert files.read(NAME) == b"second"
    files.remove(NAME)
    files.remove(NAME)
    with pytest.raises(FileNotFoundError):
        files.read(NAME)


def test_whoever_writes_is_given_a_path_with_the_suffix_of_the_name(files: StudyFiles) -> None:
    seen: list[str] = []

    def fill(local: Path) -> None:
        seen.append(local.suffix)
        local.write_bytes(b"")

    files.write("trials/00001/model.keras", fill)
    assert seen == [".keras"]


def test_a_file_that_fails_half_way_is_not_there_and_leaves_what_was(files: StudyFiles) -> None:
    files.write(NAME, lambda local: local.write_bytes(b"whole"))

    def half(local: Path) -> None:
        local.write_bytes(b"ha")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.write(NAME, half)
    assert files.read(NAME) == b"whole"
    assert files.names("trials/00001", "*") == [NAME]


def test_a_folder_lists_its_own_files_only(files: StudyFiles) -> None:
    for name in (NAME, "trials/00001/model.keras", "trials/00002/checkpoint-00001-1.ckpt"):
        files.write(name, lambda local: local.write_bytes(b""))
    assert files.names("trials/00001", "checkpoint-*") == [NAME]
    assert files.names("trials/00001", "*") == [NAME, "trials/00001/model.keras"]
    assert files.names("trials/00003", "*") == []
    assert NAME in files.shown(NAME)


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    files = study_files(tmp_path)
    files.write(NAME, lambda local: local.write_bytes(b"whole"))
    (tmp_path / "trials/00001/.tmp-12345678-model.keras").write_bytes(b"ha")
    (tmp_path / "trials/00002/.tmp-12345678-folder").mkdir(parents=True)
    files.remove_unfinished("trials/00001")
    assert files.names("trials/00001", "*") == [NAME]
    assert (tmp_path / "trials/00002/.tmp-12345678-folder").is_dir()
    files.remove_unfinished("")
    assert list((tmp_path / "trials/00002").iterdir()) == []
    assert files.read(NAME) == b"whole"


def test_a_file_is_recognised_by_its_content(files: StudyFiles) -> None:
    files.write(NAME, lambda local: local.write_bytes(b"whole"))
    assert files.stamp(NAME) == Stamp(hashlib.sha256(b"whole").hexdigest(), 5)
    with pytest.raises(FileNotFoundError):
        files.stamp("trials/00001/nothing")
