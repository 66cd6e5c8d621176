"""Archives: plain files come out, everything else is refused with a reason, nothing lands outside."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.data.archive import Caps, archive_stem, unpack
from harness.data.prepare import prepare
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig

SMALL = Caps(files=50, total=4_000_000, file=2_000_000, ratio=50, ratio_from=500_000)


def picture(shade: int) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(shade).integers(0, 256, (8, 8)).astype(np.uint8)
    Image.fromarray(noise).save(stream, "png")
    return stream.getvalue()


def tar(file: Path, *members: tarfile.TarInfo | str) -> Path:
    with tarfile.open(file, "w:gz" if file.suffix == ".tgz" else "w") as made:
        for number, member in enumerate(members):
            content = picture(number)
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if info.isreg():
                info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return file


def zipped(file: Path, *names: str, content: bytes | None = None) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for number, name in enumerate(names):
            made.writestr(name, content if content is not None else picture(number))
    return file


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo("pets/cat/1.png")
    info.type, info.linkname = kind, target
    return info


PETS = [f"pets/{name}/{number}.png" for name in ("cat", "dog") for number in range(10)]


@pytest.mark.parametrize("make", [lambda: zipped(Path("a.zip"), *PETS), lambda: tar(Path("a.tgz"), *PETS)])
def test_an_archive_is_a_data_set(make: Callable[[], Path]) -> None:
    file = make()
    found = prepare(DatasetConfig(source=str(file)), seed=0, progress=lambda *_: None, cache=Path("cache"))
    assert found.classes == ("cat", "dog")
    assert sum(found.counts.values()) == 20
    assert found.name == "a"
    again = prepare(DatasetConfig(source=str(file)), seed=0, progress=lambda *_: None, cache=Path("cache"))
    assert again == found


def test_what_macos_adds_to_an_archive_is_passed_over() -> None:
    with zipfile.ZipFile("pets.zip", "w") as made:
        for number, name in enumerate(PETS):
            made.writestr(name, picture(number))
            made.writestr(f"__MACOSX/{name.replace('pets/cat/', 'pets/cat/._')}", b"\0\5\x16\7")
        made.writestr("pets/cat/Icon\r", b"")
        made.writestr("pets/.DS_Store", b"")
    found = prepare(DatasetConfig(source="pets.zip"), seed=0, progress=lambda *_: None, cache=Path("cache"))
    assert found.classes == ("cat", "dog")
    assert sum(found.counts.values()) == 20
    assert found.warnings == ("Passed over, for it is no data: __MACOSX (of the system or of tools).",)


def test_names_in_utf8_need_not_say_so() -> None:
    """macOS does not say so; what is no UTF-8 is read as `.zip` always was."""
    zipped(Path("a.zip"), "cafe/1.png", "the/2.png")
    content = Path("a.zip").read_bytes().replace(b"cafe/", "é/é".encode()).replace(b"the/2", b"th\x82/2"[:5])
    Path("a.zip").write_bytes(content)
    unpack(Path("a.zip"), Path("out"))
    assert {str(path.relative_to("out")) for path in Path("out").rglob("*.png")} == {"é/é1.png", "thé/2.png"}


def test_names_lose_their_suffixes() -> None:
    assert archive_stem(Path("x/Pets.Tar.GZ")) == "Pets"
    assert archive_stem(Path("a.TXZ")) == "a"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tar(Path("a.tar"), "../outside.png"), "cannot be trusted"),
        (lambda: tar(Path("a.tar"), "/tmp/outside.png"), "cannot be trusted"),
        (lambda: tar(Path("a.tar"), "pets/cat/\x1b[31m.png"), "cannot be trusted"),
        (lambda: tar(Path("a.tar"), "/".join("d" * 40)), "cannot be trusted"),
        (lambda: zipped(Path("a.zip"), "..\\outside.png"), "cannot be trusted"),
        (lambda: zipped(Path("a.zip"), "C:/outside.png"), "cannot be trusted"),
        (lambda: tar(Path("a.tar"), special(tarfile.SYMTYPE, "/etc/passwd")), "not a plain file"),
        (lambda: tar(Path("a.tar"), special(tarfile.LNKTYPE, "/etc/passwd")), "not a plain file"),
        (lambda: tar(Path("a.tar"), special(tarfile.CHRTYPE)), "not a plain file"),
        (lambda: tar(Path("a.tar"), special(tarfile.FIFOTYPE)), "not a plain file"),
        (lambda: tar(Path("a.tar"), "a/1.png", "a/1.png"), "cannot be unpacked: File exists"),
        (lambda: tar(Path("a.tar"), "a", "a/1.png"), "cannot be unpacked"),
        (lambda: tar(Path("a.tar"), *[f"a/{n}.png" for n in range(60)]), "more than 50 files"),
        (lambda: zipped(Path("a.zip"), "a.bmp", content=bytes(3_000_000)), "50 times its size"),
        (
            lambda: zipped(Path("a.zip"), "a.bmp", content=np.random.default_rng(0).bytes(3_000_000)),
            "too much",
        ),
    ],
)
def test_what_cannot_be_trusted_is_refused_whole(make: Callable[[], Path], message: str) -> None:
    file = make()
    with pytest.raises(DataError, match=message):
        unpack(file, Path("folder/deep/target"), SMALL)
    left = {str(entry) for entry in Path().rglob("*")} - {str(file)}
    assert left <= {"folder", "folder/deep"}
    assert not Path("../outside.png").exists()


@given(
    cut=st.integers(0, 400), flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), max_size=6)
)
@settings(max_examples=150, deadline=None)
@pytest.mark.parametrize("suffix", [".zip", ".tgz", ".tar"])
def test_damaged_archives_are_a_sentence(
    suffix: str, cut: int, flips: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    names = ["pets/cat/1.png", "pets/dog/2.png"]
    whole = (zipped if suffix == ".zip" else tar)(folder / f"a{suffix}", *names)
    content = bytearray(whole.read_bytes())
    for place, bits in flips:
        content[place % len(content)] ^= bits
    whole.write_bytes(content[: len(content) - cut])
    try:
        unpack(whole, folder / "out", SMALL)
    except DataError as error:
        assert "archive" in str(error)
        assert not (folder / "out").exists()
    assert {entry.name for entry in folder.iterdir()} <= {whole.name, "out"}
