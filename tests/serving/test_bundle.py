"""A bundle is used as it was exported, or not at all."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.data.decode import MAX_PIXELS
from harness.deploy.checksums import write_checksums
from harness.errors import ServingError
from harness.serving.bundle import is_bundle, open_bundle
from tests.serving.conftest import CLASSES, metadata, write_bundle

FILES = ("labels.txt", "metadata.yaml", "model.keras", "saved_model/1/saved_model.pb")


def test_a_bundle_says_what_it_is(sealed: Path) -> None:
    bundle = open_bundle(sealed)
    assert bundle.classes == CLASSES
    assert bundle.image_shape == (12, 16, 3)
    assert bundle.metadata["provenance"] == {"study": "colours", "trial": 3}
    assert (bundle.source.pixel_range, bundle.source.max_pixels) == (None, MAX_PIXELS)
    assert bundle.source.file == sealed / "model.keras"


def test_a_bundle_of_before_says_the_same(sealed: Path, tmp_path: Path) -> None:
    before = write_bundle(tmp_path / "before", b"weights", metadata(), name="metadata.json")
    old, new = open_bundle(before), open_bundle(sealed)
    assert old.metadata == new.metadata
    assert (old.classes, old.image_shape, old.source.sha256) == (
        new.classes, new.image_shape, new.source.sha256
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, None),
        ({"pixel_range": None}, None),
        ({"pixel_range": [0, 4095]}, (0.0, 4095.0)),
        ({"files": {"more_than_8_bits": "of 16 bits a channel the upper 8 kept"}}, None),
        (
            {
                "files": {
                    "more_than_8_bits": "in files of 16 bits a channel the values from -0.5 to 4095 spread "
                    "over 0 to 255"
                }
            },
            (-0.5, 4095.0),
        ),
    ],
)
def test_the_range_of_deep_files_is_known(tmp_path: Path, said: dict[str, Any], expected: object) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "b", b"weights", metadata(**said, max_pixels=1000)))
    assert bundle.source.pixel_range == expected
    assert bundle.source.max_pixels == 1000


def refused(place: Path) -> str:
    with pytest.raises(ServingError) as error:
        open_bundle(place)
    return str(error.value)


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_file_is_named(sealed: Path, name: str, data: st.DataObject) -> None:
    file = sealed / name
    before = file.read_bytes()
    after = bytearray(before)
    at = data.draw(st.integers(0, len(before) - 1))
    after[at] ^= data.draw(st.integers(1, 255))
    try:
        file.write_bytes(data.draw(st.sampled_from([bytes(after), before[:at], before + b"\n"])))
        assert f"{name} was changed" in refused(sealed)
    finally:
        file.write_bytes(before)
    open_bundle(sealed)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(sealed: Path, name: str) -> None:
    (sealed / name).unlink()
    assert f"{name} is missing" in refused(sealed)


def test_an_additional_file_is_named(sealed: Path) -> None:
    (sealed / "saved_model" / "assets.extra").mkdir()
    open_bundle(sealed)  # an empty folder is nothing
    (sealed / "saved_model" / "assets.extra" / "code.py").write_text("")
    assert "saved_model/assets.extra/code.py is not listed" in refused(sealed)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{digest}  ../outside", "'../outside' in SHA256SUMS leads out of the folder"),
        ("{digest}  saved_model/../../outside", "leads out of the folder"),
        ("{digest}  {outside}", "leads out of the folder"),
        ("{digest} outside", "line 5 of SHA256SUMS is not a checksum and a name"),
        ("nothing", "line 5 of SHA256SUMS is not"),
        ("{digest}  labels.txt", "labels.txt is listed twice"),
        ("{digest}  gone", "gone is missing"),
    ],
)
def test_checksums_of_other_things_are_refused(sealed: Path, line: str, said: str) -> None:
    outside = sealed.parent / "outside"
    outside.write_text("")
    sums = sealed / "SHA256SUMS"
    sums.write_text(sums.read_text() + line.format(digest="e" * 64, outside=outside) + "\n")
    assert said in refused(sealed)


def _file_link(bundle: Path) -> str:
    outside = (bundle / "labels.txt").rename(bundle.parent / "outside.txt")
    (bundle / "labels.txt").symlink_to(outside)
    return "labels.txt is a link"


def _folder_link(bundle: Path) -> str:
    outside = (bundle / "saved_model").rename(bundle.parent / "outside")
    (bundle / "saved_model").symlink_to(outside, target_is_directory=True)
    return "saved_model is a link"


def _link_to_nothing(bundle: Path) -> str:
    (bundle / "later").symlink_to("/nonexistent")
    return "later is a link"


def _checksums_link(bundle: Path) -> str:
    outside = (bundle / "SHA256SUMS").rename(bundle.parent / "sums")
    (bundle / "SHA256SUMS").symlink_to(outside)
    return "SHA256SUMS is a link"


def _pipe(bundle: Path) -> str:
    os.mkfifo(bundle / "pipe")
    return "pipe is no plain file"


@pytest.mark.parametrize("plant", [_file_link, _folder_link, _link_to_nothing, _checksums_link, _pipe])
def test_only_plain_files_are_used(sealed: Path, plant: Callable[[Path], str]) -> None:
    said = plant(sealed)
    assert said in refused(sealed)


def test_what_is_no_bundle_is_said(tmp_path: Path) -> None:
    assert "There is no bundle at" in refused(tmp_path / "nowhere")
    assert "is not an exported bundle" in refused(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    assert "neither the folder of a bundle nor an archive" in refused(tmp_path / "notes.txt")
    assert not is_bundle(tmp_path)
    assert not is_bundle(tmp_path / "notes.txt")


def _rewrite(bundle: Path, name: str, text: str) -> Path:
    (bundle / "SHA256SUMS").unlink()
    (bundle / name).write_text(text)
    write_checksums(bundle)
    return bundle


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("labels.txt", "red\ngreen\nblue\n", "names other classes than the metadata"),
        ("metadata.yaml", "[", "metadata.yaml cannot be read"),
        ("metadata.yaml", "a text", "does not describe a model"),
        ("metadata.yaml", "!!python/object/apply:os.system [exit]", "metadata.yaml cannot be read"),
        ("metadata.yaml", "input: {height: 2, width: 2, channels: 3}", "name no classes"),
        ("metadata.yaml", "output: {classes: [blue, green, red]}", "do not say the size"),
        (
            "metadata.yaml",
            "{output: {classes: [blue, green, red]}, input: {height: 2, width: 2, channels: 4}}",
            "4 channels",
        ),
        (
            "metadata.yaml",
            "{output: {classes: [blue, green, red]}, "
            "input: {height: 2, width: 2, channels: 3, pixel_range: [a, b]}}",
            "range of pixels",
        ),
        (
            "metadata.yaml",
            "{output: {classes: [blue, green, red]}, input: {height: 2, width: 2, channels: 3, frames: 0}}",
            "0 frames of a clip",
        ),
    ],
)
def test_metadata_that_say_nothing_are_refused(sealed: Path, name: str, text: str, said: str) -> None:
    assert said in refused(_rewrite(sealed, name, text))


def test_a_bundle_without_metadata_or_model_is_refused(sealed: Path) -> None:
    (sealed / "model.keras").unlink()
    assert "has no model.keras" in refused(_rewrite(sealed, "labels.txt", "blue\ngreen\nred\n"))
    (sealed / "metadata.yaml").unlink()
    assert "has no metadata.yaml or metadata.json" in refused(_rewrite(sealed, "labels.txt", ""))


def zipped(bundle: Path, target: Path, top: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(bundle.rglob("*")):
            if file.is_file():
                archive.write(file, f"{top}{file.relative_to(bundle).as_posix()}")
    return target


@pytest.mark.parametrize("top", ["", "anything/"])
def test_an_archive_is_unpacked_and_checked(sealed: Path, tmp_path: Path, top: str) -> None:
    archive = zipped(sealed, tmp_path / "colours.zip", top)
    assert is_bundle(archive)
    for _ in range(2):
        bundle = open_bundle(archive)
        assert bundle.source.name == "colours"
        assert bundle.source.file.read_bytes() == b"weights"
    # What lies in the cache is trusted no more than anything else.
    bundle.source.file.write_bytes(b"others")
    assert "model.keras was changed" in refused(archive)


def _entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (_entry("../evil"), "'../evil', a name that cannot be trusted"),
        (_entry("saved_model/../../evil"), "a name that cannot be trusted"),
        (_entry("/evil"), "'/evil', a name that cannot be trusted"),
        (_entry("C:\\evil"), "a name that cannot be trusted"),
        (_entry("evil", 0o120777), "'evil', which is not a plain file"),
        (_entry("evil"), "evil is not listed"),
    ],
)
def test_an_archive_that_reaches_out_is_refused(
    sealed: Path, tmp_path: Path, entry: zipfile.ZipInfo, said: str
) -> None:
    archive = zipped(sealed, tmp_path / "colours.zip")
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(entry, "/etc/passwd")
    assert said in refused(archive)
    assert not list(tmp_path.rglob("evil")) or "not listed" in said


def test_an_archive_of_something_else_is_refused(sealed: Path, tmp_path: Path) -> None:
    (sealed / "SHA256SUMS").unlink()
    assert "does not hold one bundle" in refused(zipped(sealed, tmp_path / "other.zip"))
    (tmp_path / "half.zip").write_bytes(b"PK\x03\x04")
    assert "is damaged" in refused(tmp_path / "half.zip")
