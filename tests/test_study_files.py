"""Every keeper of a study's files keeps the same promises."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from gcp_storage_emulator.server import create_server

from harness.errors import UnreachableError
from harness.study_files import BucketFiles, Stamp, StudyFiles, is_bucket_url, study_files
from tests.memory_files import MemoryFiles
from tests.mlflow_server import free_port
from tests.object_store import ACCESS_KEY, ENVIRONMENT, SECRET_KEY, ObjectStore, object_store

NAME = "trials/00001/checkpoint-00002-1.ckpt"


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    """A server with a bucket, which this process knows."""
    with object_store() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": server.address}).items():
            patch.setenv(name, value)
        server.make_bucket("files")
        yield server


@pytest.fixture(scope="module")
def google() -> Iterator[None]:
    """A server of Google's protocol with a bucket, which this process knows."""
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="files")
    server.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CLOUD_STORAGE_EMULATOR_ENDPOINT", f"http://127.0.0.1:{port}")
            yield
    finally:
        server.stop()


@pytest.fixture(params=["local", "memory", "bucket", "google"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> StudyFiles:
    if request.param == "bucket":
        request.getfixturevalue("store")
        return study_files(f"s3://files/studies/{tmp_path.name}-{os.urandom(4).hex()}")
    if request.param == "google":
        request.getfixturevalue("google")
        return study_files(f"gs://anonymous@files/studies/{tmp_path.name}-{os.urandom(4).hex()}")
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


@pytest.mark.slow
def test_a_bucket_that_cannot_be_used_is_told_without_what_its_library_says(store: ObjectStore) -> None:
    files = BucketFiles("s3://files/gone")
    files.check()
    assert not [key for key in store.objects("files") if "gone" in key], "it leaves nothing behind"
    with pytest.raises(UnreachableError) as missing:
        BucketFiles("s3://no-such-bucket/studies").check()
    assert str(missing.value) == "s3://no-such-bucket/studies cannot be reached: there is no such bucket."
    files.write(NAME, lambda local: local.write_bytes(b"whole"))
    store.stop()
    try:
        with pytest.raises(UnreachableError) as away:
            files.read(NAME)
        assert str(away.value) == "s3://files/gone cannot be reached: it cannot be connected to."
        assert away.value.__cause__ is None
        assert away.value.__suppress_context__, "so that no traceback prints what the library has said"
    finally:
        store.start()
    assert files.read(NAME) == b"whole"


def test_all_files_below_a_folder_of_a_bucket_are_found(store: ObjectStore) -> None:
    files = BucketFiles("s3://files/below")
    for name in (NAME, "trials/00001/model.keras", "trials/00002/checkpoint-00001-1.ckpt"):
        files.write(name, lambda local: local.write_bytes(b""))
    assert files.names_below("trials", "checkpoint-*") == [NAME, "trials/00002/checkpoint-00001-1.ckpt"]
    assert files.names_below("nothing", "*") == []


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("s3://bucket", True),
        ("s3://a.bucket-1/of/a_team/x=1", True),
        ("gs://bucket/prefix", True),
        ("s3://", False),
        ("s3://Bucket", False),
        ("s3://bucket//prefix", False),
        ("s3://bucket/../other", False),
        ("s3://bucket/prefix?endpoint_override=evil", False),
        (f"s3://{ACCESS_KEY}:{SECRET_KEY}@bucket/prefix", False),
        ("https://bucket/prefix", False),
        ("/home/bucket", False),
    ],
)
def test_a_place_is_a_bucket_and_a_prefix_and_no_more(text: str, *, fits: bool) -> None:
    assert is_bucket_url(text) == fits
