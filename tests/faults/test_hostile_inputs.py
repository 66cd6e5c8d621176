"""Images, archives, arrays, models, experiment files and folders made to break or to deceive."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import socket
import struct
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from harness.data.prepare import prepare
from harness.errors import DataError, HarnessError
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.load import load
from harness.records import Dataset
from harness.schedulers import SCHEDULERS
from tests.faults.support import LONG, harness, tiny, until
from tests.mlflow_server import free_port

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

FUZZ_SECONDS = 300.0 if LONG else 20.0
"""For each of the three kinds of input."""


@pytest.fixture(autouse=True)
def nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing appears but in the working folder and the cache, and no code from a file has run."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    # What these libraries keep is theirs; it would hide what is ours.
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache" / "keras"))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "cache" / "matplotlib"))
    yield
    assert {entry.name for entry in tmp_path.iterdir()} <= {"work", "cache", "home"}
    assert list(home.iterdir()) == []
    assert not Path("/tmp/outside.png").exists()
    assert not list(tmp_path.rglob("EXECUTED"))


def prepared(source: str, **changes: Any) -> Dataset:
    return prepare(DatasetConfig(source=source, **changes), seed=0, progress=lambda *_: None)


def a_sentence(message: str) -> bool:
    """For people: no Python in it, and not for pages."""
    return bool(message) and message[-1] in ".,)" and "Traceback" not in message and len(message) < 1000


# Images


def noise(seed: int, shape: tuple[int, ...] = (10, 12, 3)) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pets(extra: dict[str, bytes] | None = None) -> str:
    """Two classes of ten images, and other files in the first."""
    for label, name in enumerate(("cat", "dog")):
        folder = Path("pets", name)
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(10):
            (folder / f"{index}.png").write_bytes(encoded(Image.fromarray(noise(label * 50 + index)), "png"))
    for name, content in (extra or {}).items():
        Path("pets/cat", name).write_bytes(content)
    return "pets"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_bomb() -> bytes:
    """661 bytes that claim 60,000 × 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = zlib.compress(bytes(400_000), 9).ljust(604, b"\1")
    made = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    assert len(made) == 661
    return made


def png_16(channels: int) -> bytes:
    """16 bits a channel; Pillow itself cannot write it in colour."""
    colour = {1: 0, 3: 2}[channels]
    values = np.random.default_rng(channels).integers(0, 65_536, (10, 12 * channels)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 12, 10, 16, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def frames(kind: str) -> bytes:
    pictures = [Image.fromarray(noise(seed)) for seed in range(200, 203)]
    return encoded(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=50)


WHOLE = encoded(Image.fromarray(noise(99)), "png")
REFUSED: dict[str, tuple[bytes, str]] = {
    "truncated.png": (WHOLE[: len(WHOLE) // 2], "damaged"),
    "truncated.jpg": (encoded(Image.fromarray(noise(99, (80, 80, 3))), "jpeg")[:700], "damaged"),
    "zero bytes.png": (b"", "empty"),
    "zeros.png": (bytes(5000), "none of"),
    "text.jpg": (b"this is not an image, it is a text", "none of"),
    "drawing.png": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "none of"),
    "page.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "none of"),
    "bomb.png": (png_bomb(), "claims"),
    "float.tif": (encoded(Image.fromarray(np.linspace(-3, 3, 120, dtype=np.float32).reshape(10, 12)), "tiff"),
                  "floating-point"),
}  # fmt: skip
TAKEN: dict[str, bytes] = {
    "plain.tif": encoded(Image.fromarray(noise(101)), "tiff"),
    "cmyk.jpg": encoded(Image.fromarray(noise(102, (10, 12, 4)), mode="CMYK"), "jpeg"),
    "palette.png": encoded(Image.fromarray(noise(103)).quantize(16), "png"),
    "rgba.png": encoded(Image.fromarray(noise(104, (10, 12, 4))), "png"),
    "jpeg named.gif": encoded(Image.fromarray(noise(105)), "jpeg"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_image_that_cannot_be_used_is_named_with_its_reason(name: str) -> None:
    content, reason = REFUSED[name]
    began = psutil.Process().memory_info().rss
    found = prepared(pets({name: content}))
    assert sum(found.counts.values()) == 20
    (warning,) = found.warnings
    assert warning.startswith(f"{Path.cwd()}/pets/cat/{name} was skipped: it")
    assert reason in warning
    assert a_sentence(warning)
    assert psutil.Process().memory_info().rss - began < 200 * 2**20


def test_bombs_are_refused_by_their_header_before_anything_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from PIL import ImageFile

    loaded: list[object] = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: loaded.append(self.size))
    from harness.data.decode import UnreadableError, decode, read_header

    bmp = struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0)
    for claim in (png_bomb(), b"P6 60000 60000 255\n", b"BM" + bmp):
        for look in (read_header, lambda content: decode(content, (8, 8), 3)):
            with pytest.raises(UnreadableError, match="pixels"):
                look(claim)
    assert loaded == []


def test_unusual_kinds_of_images_are_taken_whole() -> None:
    found = prepared(pets(TAKEN))
    assert sum(found.counts.values()) == 20 + len(TAKEN)
    assert found.warnings == ()


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tiff"])
def test_of_animated_images_one_frame_is_used_and_that_is_said(kind: str) -> None:
    found = prepared(pets({f"moves.{kind}": frames(kind)}))
    assert sum(found.counts.values()) == 21
    assert found.warnings == ("Of 1 animated images only the first frame is used.",)


@pytest.mark.parametrize(
    "content",
    [
        png_16(1), png_16(3),
        encoded(Image.fromarray(np.arange(0, 60_000, 500, dtype=np.uint16).reshape(10, 12)), "tiff"),
        b"P6 12 10 65535\n" + np.random.default_rng(1).bytes(720),
    ],
    ids=["grey png", "colour png", "grey tiff", "colour ppm"],
)  # fmt: skip
def test_16_bit_images_are_spread_over_8_bits_and_that_is_said(content: bytes) -> None:
    found = prepared(pets({"deep.png": content}))
    assert sum(found.counts.values()) == 21
    assert found.pixel_range == (0, 65_535)
    (warning,) = found.warnings
    assert warning.startswith("1 image with more than 8 bits a channel: uint16 up to ")
    assert "→ taken as 16 bits, 0…65535 → 0…255" in warning
    assert a_sentence(warning)


def test_too_many_broken_images_end_a_real_sweep_with_one_message() -> None:
    pets({name: content for name, (content, _) in REFUSED.items()})
    done = harness("sweep", "--dataset", "pets", "--trials", "1", code=1)
    assert done.stdout == ""
    assert "9 of 29 images cannot be read" in done.stderr
    assert all(f"pets/cat/{name}: it" in done.stderr for name in REFUSED)


# Archives


def tar_of(file: str, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> str:
    with tarfile.open(file, mode) as made:  # type: ignore[call-overload]
        for info, content in members:
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return file


def zip_of(file: str, name: str, content: bytes) -> str:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, content)
    return file


def special(kind: bytes, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo("pets/cat/1.png")
    info.type, info.linkname = kind, link
    return info, b""


def many_folders() -> str:
    """An .xz of folders only, which are never written: 200 MB of headers in a few KB."""
    import lzma

    info = tarfile.TarInfo("d")
    info.type = tarfile.DIRTYPE
    with lzma.open("folders.tar.xz", "wb", preset=0) as out:
        for _ in range(200):
            out.write(info.tobuf() * 2000)
    return "folders.tar.xz"


def long_header() -> str:
    """A name of 300 MB in a few KB, which tarfile would read into memory."""
    import gzip

    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 300 * 2**20
    with gzip.open("name.tar.gz", "wb", compresslevel=6) as out:
        out.write(info.tobuf())
        for _ in range(300):
            out.write(b"a" * 2**20)
    return "name.tar.gz"


ARCHIVES: dict[str, tuple[Callable[[], str], str]] = {
    "out by dots": (lambda: tar_of("a.tar", [(tarfile.TarInfo("../../outside.png"), WHOLE)]), "trusted"),
    "absolute": (lambda: tar_of("a.tar", [(tarfile.TarInfo("/tmp/outside.png"), WHOLE)]), "trusted"),
    "zip out by dots": (lambda: zip_of("a.zip", "pets/../../outside.png", WHOLE), "trusted"),
    "link": (lambda: tar_of("a.tar", [special(tarfile.SYMTYPE, "/etc")]), "not a plain file"),
    "hard link": (lambda: tar_of("a.tar", [special(tarfile.LNKTYPE, "/etc/passwd")]), "not a plain file"),
    "device": (lambda: tar_of("a.tar", [special(tarfile.CHRTYPE)]), "not a plain file"),
    "pipe": (lambda: tar_of("a.tar", [special(tarfile.FIFOTYPE)]), "not a plain file"),
    "bomb": (lambda: zip_of("a.zip", "pets/cat/1.bmp", bytes(100_000_000)), "200 times"),
    "bomb of folders": (many_folders, "200 times"),
    "bomb in a header": (long_header, "200 times"),
    "not an archive": (lambda: Path("a.tar.bz2").write_bytes(b"BZh91AY&SY" + bytes(50)) and "a.tar.bz2",
                       "damaged|cannot be unpacked"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_is_refused_whole(name: str) -> None:
    make, message = ARCHIVES[name]
    file = make()
    before = psutil.Process().memory_info().rss
    with pytest.raises(DataError, match=message) as caught:
        prepared(file)
    assert a_sentence(str(caught.value))
    assert psutil.Process().memory_info().rss - before < 150 * 2**20
    archives = Path(os.environ["HARNESS_CACHE"], "archives")
    assert not [entry for entry in archives.rglob("*") if not entry.is_dir()]
    assert not list(archives.rglob(".tmp-*"))


# Arrays


class Evil:
    """Unpickled, it leaves a trace."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path.cwd() / "EXECUTED",))


def pickled(file: str) -> str:
    Path(file).write_bytes(pickle.dumps(Evil()))
    return file


def npz(**arrays: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.savez_compressed("data.npz", **arrays)
    return "data.npz"


def raw_npz(header: bytes, content: bytes = b"") -> str:
    """An `x` with a header of one's own."""
    labels = io.BytesIO()
    np.save(labels, np.arange(40) % 2)
    padded = header + b" " * (-(len(header) + 11) % 64) + b"\n"
    x = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + content
    with zipfile.ZipFile("data.npz", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("x.npy", x)
        made.writestr("y.npy", labels.getvalue())
    return "data.npz"


Y = np.arange(40) % 2
ARRAYS: dict[str, Callable[[], str]] = {
    "pickled images": lambda: npz(x=np.array([Evil()] * 40, dtype=object), y=Y),
    "pickled labels": lambda: npz(x=noise(0, (40, 8, 8)), y=np.array([Evil()] * 40, dtype=object)),
    "pickled names": lambda: npz(x=noise(0, (40, 8, 8)), y=Y, classes=np.array([Evil()], dtype=object)),
    "a pickle named npz": lambda: pickled("data.npz"),
    "five dimensions": lambda: npz(x=noise(0, (40, 2, 2, 2, 2)), y=Y),
    "complex": lambda: npz(x=noise(0, (40, 8, 8)) * 1j, y=Y),
    "dates": lambda: npz(x=noise(0, (40, 8, 8)).astype("datetime64[s]"), y=Y),
    "structured": lambda: npz(x=np.zeros((40, 8, 8), [("a", "u1")]), y=Y),
    "empty": lambda: npz(x=noise(0, (0, 8, 8)), y=Y[:0]),
    "no dimension": lambda: npz(x=np.uint8(3), y=np.int64(1)),
    "float labels": lambda: npz(x=noise(0, (40, 8, 8)), y=Y + 0.5),
    "names with commands": lambda: npz(x=noise(0, (40, 8, 8)), y=np.array(["a\x1b[2J", "b\nc"] * 20)),
    "bomb": lambda: npz(x=np.zeros((1500, 300, 300), np.uint8), y=np.arange(1500) % 2),
    "claims 1 TB": lambda: raw_npz(b"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999, 9999), }"),
    "negative shape": lambda: raw_npz(b"{'descr': '|u1', 'fortran_order': False, 'shape': (-40, -8), }"),
    "code in the header": lambda: raw_npz(b"__import__('pathlib').Path('EXECUTED').touch()"),
    "no header": lambda: raw_npz(b"((((" * 500),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_hostile_arrays_are_refused_with_a_reason(name: str) -> None:
    file = ARRAYS[name]()
    before = psutil.Process().memory_info().rss
    with pytest.raises(DataError) as caught:
        prepared(file)
    assert a_sentence(str(caught.value)), str(caught.value)
    assert psutil.Process().memory_info().rss - before < 150 * 2**20
    assert not Path("EXECUTED").exists()


def test_class_names_that_cannot_be_a_line_of_a_file_are_refused() -> None:
    with pytest.raises(DataError, match="cannot be printed on one line"):
        prepared(npz(x=noise(0, (40, 8, 8)), y=np.array(["a\x1b[2J", "b\nc"] * 20)))


# Models


def test_a_lambda_never_runs_wherever_a_model_is_loaded() -> None:
    from harness.deploy.export import export_model
    from harness.deploy.loading import load_error, quiet_keras
    from harness.deploy.trained import TrainedModel
    from harness.errors import ExportError
    from harness.paths import sha256_of

    keras = quiet_keras()
    trace = str(Path.cwd() / "EXECUTED")

    run = eval(f"lambda x: (__import__('pathlib').Path({trace!r}).touch(), x)[1]")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Lambda(run)])
    file = Path("model.keras")
    model.save(file)
    Path(trace).unlink()
    # Not a Lambda, but a function that the file names.
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile("named.keras", "w") as made:
        for name in whole.namelist():
            content = whole.read(name)
            if name == "config.json":
                named = {
                    "module": "os",
                    "class_name": "function",
                    "config": "system",
                    "registered_name": "function",
                }
                content = json.dumps(named).encode()
            made.writestr(name, content)
    for hostile in (file, Path("named.keras")):
        assert load_error(hostile)
        assert not Path(trace).exists()
    np.savez(
        "reference.npz", indices=np.arange(4), probabilities=np.ones((4, 64), np.float32), split="validation"
    )
    source = TrainedModel(file=file, sha256=sha256_of(file), dataset=prepared("digits"))
    with pytest.raises(ExportError, match=r"cannot be loaded: .*[Ll]ambda") as caught:
        export_model(source, Path("bundle"))
    assert "\n" not in str(caught.value)
    assert not Path(trace).exists()
    assert not Path("bundle").exists()


# Experiment files

GOOD = "name: mine\nspace:\n  depth: [1, 2]\n"


def space(text: str) -> str:
    return f"name: mine\nspace:\n  {text}\n"


FILES: dict[str, str] = {
    "tag": GOOD + "seed: !!python/object/apply:os.system ['touch EXECUTED']\n",
    "new tag": GOOD + "seed: !!python/object/new:type [x]\n",
    "own tag": GOOD + "seed: !evil 3\n",
    "a thousand million trials": GOOD + "search: {trials: 1000000000}\n",
    "name out": GOOD.replace("mine", "../mine"),
    "name with a command": GOOD.replace("mine", '"mi\\e[31mne"'),
    "name with a line": GOOD.replace("mine", '"mine\\n"'),
    "data set out of nowhere": GOOD + "dataset: {source: ''}\n",
    "key with a command": GOOD + '"\\e[2Jkey": 1\n',
    "low above high": space("dropout: {type: float, low: 0.4, high: 0.1}"),
    "log of zero": space("l2: {type: float, low: 0, high: 0.1, log: true}"),
    "nan bound": space("dropout: {type: float, low: .nan, high: 0.1}"),
    "infinite bound": space("dropout: {type: float, low: 0, high: .inf}"),
    "nan choice": space("dropout: [.nan, 0.1]"),
    "nan target": GOOD + "search: {target: .nan}\n",
    "infinite time": GOOD + "search: {timeout: .inf}\n",
    "nan threshold": GOOD + "scheduler: {kind: threshold, lower: .nan}\n",
    "tiny step": space("dropout: {type: float, low: 0, high: 0.5, step: 1.0e-300}"),
    "list as a bound": space("dropout: {type: float, low: [0], high: 0.5}"),
    "huge bound": space(f"dropout: {{type: float, low: 0, high: 0x{'f' * 400}}}"),
    "date as a bound": space("dropout: {type: float, low: 2026-01-01, high: 0.5}"),
    "date as a choice": space("dropout: [2026-01-01]"),
    "bytes as a choice": space("dropout: [!!binary aGVsbG8=]"),
    "list as a type": space("dropout: {type: [float], low: 0, high: 0.5}"),
    "list in a condition": space("dropout: {type: float, low: 0, high: 0.5, when: {depth: [[1]]}}"),
    "list of lists": space("optimizer: [[adam]]") + "  learning_rate: auto\n",
    "impossible date": GOOD + "description: 2026-13-45\n",
    "impossible number": GOOD + "seed: !!int x\n",
    "5,000 digits": GOOD + f"seed: {'9' * 5000}\n",
    "5,000 hex digits": GOOD + f"seed: 0x{'f' * 5000}\n",
    "unknown key in a list": GOOD + "also: [{metric: val_loss, direktion: minimize}]\n",
    "unknown key in limits": GOOD + "limits: {watts: 3}\n",
    "alias bomb": "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n",
    "self": "a: &a [*a]\n",
    "merge": GOOD + "<<: {seed: 3}\n",
    "very deep": "a: " + "[" * 400_000,
    "very deep blocks": "".join(" " * level + "a:\n" for level in range(900)),
    "very long": "a: [" + "1," * 400_000 + "]",
    "too large": "#" * 1_100_000,
    "not UTF-8": "\udcff\udcfe",
    "nothing but nul": "\0" * 100,
    "a list": "- 1\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_experiment_file_is_refused_with_a_reason(name: str) -> None:
    Path("mine.yaml").write_bytes(FILES[name].encode("utf-8", "surrogateescape"))
    code, said = command("plan", "mine.yaml")
    assert code == 2, said
    assert said.startswith(("Error: mine.yaml", "Error: the value")), said
    assert "\x1b" not in said
    assert len(said) < 2000
    assert not Path("EXECUTED").exists()


WRONG_VALUES = [
    "3", "-1", "1.5", "true", "null", "word", "[]", "[[1]]", "{}", "{a: {b: 1}}", "2026-01-01", ".nan",
    "!!binary aGk=", "''", '"\\u0000"', "9999999999999999999999", "[1, a, null, {}]",
]  # fmt: skip


def test_every_key_with_values_of_every_kind_is_taken_or_refused_with_a_reason() -> None:
    from harness.experiment.schema import ExperimentConfig, ObjectiveConfig

    keys: list[str] = []
    inside = {
        "objective": ObjectiveConfig.model_fields,
        "scheduler": {key for kind in SCHEDULERS.values() for key in kind.settings.model_fields},
    }
    for name in [*ExperimentConfig.model_fields, "objective", "also", "limits"]:
        field = ExperimentConfig.model_fields.get(name)
        inner = inside.get(name) or getattr(field.annotation if field else None, "model_fields", {})
        keys += [name, *(f"{name}.{one}" for one in inner), f"{name}.unknown"]
    keys += [f"space.{one}" for one in ("depth", "dropout", "optimizer", "learning_rate", "family")]
    keys += [f"space.dropout.{one}" for one in ("type", "low", "high", "step", "log", "when", "choices")]
    keys += ["also.0", "start_with.0", "..", "space."]
    Path("mine.yaml").write_text(GOOD)
    for key in keys:
        for value in WRONG_VALUES:
            try:
                load("mine.yaml", [f"{key}={value}"]).space.size()
            except HarnessError as error:
                assert error.exit_code == 2
                assert str(error), (key, value)


def command(*arguments: str) -> tuple[int, str]:
    """The command line in this process: its exit code, and what it said; anything raised is a failure."""
    from harness.cli import main

    before = sys.argv
    said = io.StringIO()
    sys.argv = ["harness", *arguments]
    try:
        with (
            redirect_stderr(said),
            redirect_stdout(said),
            pytest.raises(SystemExit) as ended,
        ):
            main()
    finally:
        sys.argv = before
    return int(ended.value.code or 0), said.getvalue()


@pytest.mark.parametrize(
    "name", ["../out", "/tmp/out", "a/b", "..", ".hidden", "a\nb", "a\x1b[31m", "a" * 300, "\0"]
)
@pytest.mark.parametrize("how", ["sweep", "resume", "leaderboard", "export", "sync", "report", "verify"])
def test_the_name_of_a_study_never_leaves_the_workspace(how: str, name: str) -> None:
    given = ["--study", name] if how in ("sweep", "export") else [name]
    code, said = command(how, *given)
    assert code in (1, 2), said
    assert said.startswith("Error: ")
    assert "\x1b" not in said
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "source", ["a" * 5000, "x\0y", "~nobody-of-this-name/x", "/dev/zero", "/dev/null", "-", "a\n\x1b[2J"]
)
def test_strange_names_of_data_sets_are_a_sentence(source: str) -> None:
    with pytest.raises(DataError) as caught:
        prepared(source)
    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize("name", ["a" * 5000, "x\0y", "/dev/zero", "pipe"])
def test_strange_names_of_experiments_are_a_sentence(name: str) -> None:
    os.mkfifo("pipe")
    code, said = command("plan", name)
    assert code == 2
    assert said.startswith("Error: ")


# Folders


def test_links_in_circles_pipes_devices_and_sockets_in_a_class_are_left_out_and_named() -> None:
    pets()
    os.mkfifo("pets/cat/pipe.png")
    Path("pets/cat/self.png").symlink_to("self.png")
    Path("pets/cat/up").symlink_to(Path("pets/cat").absolute())
    Path("pets/cat/nowhere.png").symlink_to("/nowhere/at/all.png")
    Path("pets/cat/zeros.png").symlink_to("/dev/zero")
    Path("pets/loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("pets/cat/socket.png")
        found = prepared("pets")
    assert found.warnings[0].startswith("6 entries that are neither files nor folders")
    assert a_sentence(found.warnings[0])


def test_a_manifest_cannot_name_pipes_devices_or_folders() -> None:
    pets()
    os.mkfifo("pipe.png")
    for path in ("pipe.png", "/dev/zero", "pets", "a\0b", "x" * 5000):
        Path("list.csv").write_text(f"path,label\npets/cat/1.png,cat\n{path},dog\n")
        with pytest.raises(DataError, match=r"list\.csv:3: "):
            prepared("list.csv")


def test_an_unreadable_file_is_named_and_an_unreadable_folder_ends_it() -> None:
    pets()
    Path("pets/cat/1.png").chmod(0)
    script = (
        "from harness.data.prepare import prepare\n"
        "from harness.errors import DataError\n"
        "from harness.experiment.dataset_config import DatasetConfig\n"
        "try: print(prepare(DatasetConfig(source='pets'), seed=0, progress=lambda *_: None).warnings)\n"
        "except DataError as error: print('refused:', error)\n"
    )
    # Nothing is unreadable for root, unless it has given up that right.
    without = "-dac_override,-dac_read_search"
    plain = ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"] if os.getuid() == 0 else []
    run = [*plain, sys.executable, "-c", script]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True)
    assert "pets/cat/1.png was skipped: Permission denied." in done.stdout
    Path("pets/dog").chmod(0)
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True)
    assert "refused: The folder" in done.stdout
    assert "Permission denied" in done.stdout
    Path("pets/dog").chmod(0o755)


def test_names_that_are_no_text_are_refused_and_look_alikes_are_named() -> None:
    pets()
    os.renames(b"pets/cat", b"pets/Dog")
    found = prepared("pets")
    assert "'Dog' and 'dog' differ only in case" in found.warnings[0]
    os.renames(b"pets/dog/1.png", b"pets/dog/caf\xe9.png")
    with pytest.raises(DataError, match=r"caf\\xe9\.png' is not UTF-8"):
        prepared("pets")
    os.renames(b"pets/dog/caf\xe9.png", b"pets/dog/1.png")
    os.renames(b"pets/dog", b"pets/d\x1b[31mog")
    with pytest.raises(DataError, match="cannot be printed on one line"):
        prepared("pets")


# What is written


def test_state_is_private_and_the_report_escapes_names_from_outside() -> None:
    hostile = "<script>alert(1)<"
    for label, name in enumerate((hostile, "dog")):
        Path("pets", name).mkdir(parents=True)
        for index in range(20):
            picture = Image.fromarray(noise(label * 50 + index, (8, 8)))
            picture.save(Path("pets", name, f"{index}.png"))
    before = os.umask(0o022)
    try:
        harness(
            "sweep", tiny(), "--study", "s", "--trials", "2", "--epochs", "1",
            "--set", "dataset={source: pets}", "--set", f"description={json.dumps(hostile)}",
        )  # fmt: skip
    finally:
        os.umask(before)
    for folder in (".harness", ".harness/studies/s"):
        assert Path(folder).stat().st_mode & 0o777 == 0o700
    for file in (".harness/studies/s/events.jsonl", ".harness/optuna.db", "mlflow.db"):
        assert Path(file).stat().st_mode & 0o777 == 0o600, file
    harness("report", "s", "--out", "report.html")
    page = Path("report.html").read_text()
    assert hostile not in page
    assert "<script>alert" not in page


def test_the_ui_refuses_other_hosts_and_runs_nothing() -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "harness", "ui", "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as ui:  # fmt: skip
        try:
            until(lambda: answer(port, f"127.0.0.1:{port}") == 200, timeout=100)
            assert answer(port, f"localhost:{port}") == 200
            for host in ("10.example.com", "192.168.example.com", "evil.org", f"10.0.0.1:{port}"):
                assert answer(port, host) == 403, host
            assert answer(port, f"127.0.0.1:{port}", origin="http://10.example.com") == 403
            server = next(
                child
                for child in psutil.Process(ui.pid).children(recursive=True)
                if "mlflow" in child.cmdline()
            )
            settings = server.environ()
            assert settings["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
            assert settings["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
            assert settings["MLFLOW_DISABLE_TELEMETRY"] == "true"
        finally:
            ui.terminate()
            ui.wait(30)
    assert answer(port, f"127.0.0.1:{port}") == 0


def answer(port: int, host: str, origin: str | None = None) -> int:
    """The status of a request; 0 if nobody listens."""
    path = "/api/2.0/mlflow/experiments/search"
    headers = {"Host": host, "Content-Type": "application/json"} | ({"Origin": origin} if origin else {})
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", json.dumps({"max_results": 1}).encode(), headers
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answered:
            return int(answered.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


# Fuzzing: 20 seconds for each of images, containers and experiment files; the seed is printed.


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The content with bytes flipped, cut, repeated, or filled with what often matters."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        if not changed:
            break
        place = rng.randrange(len(changed))
        how = rng.randrange(5)
        if how == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif how == 1:
            changed[place : place + 4] = rng.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
        elif how == 2:
            del changed[place:]
        elif how == 3:
            del changed[place : place + rng.randrange(1, 20)]
        else:
            changed[place:place] = changed[place : place + rng.randrange(1, 40)]
    return bytes(changed)


def fuzz(attempt: Callable[[random.Random], None], what: str) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"{what}: seed {seed}")
    rng = random.Random(seed)
    deadline = time.monotonic() + FUZZ_SECONDS
    count = slowest = 0.0
    while time.monotonic() < deadline:
        began = time.monotonic()
        attempt(rng)
        slowest = max(slowest, time.monotonic() - began)
        count += 1
    print(f"{what}: {count:.0f} inputs, the slowest took {slowest:.2f} s")
    assert slowest < 20


@pytest.mark.timeout(900)
def test_fuzzed_images() -> None:
    from harness.data.decode import UnreadableError, decode, read_header

    seeds = [WHOLE, png_16(3), *TAKEN.values(), *map(frames, ("gif", "webp", "png", "tiff"))]
    seeds += [encoded(Image.fromarray(noise(1)), kind) for kind in ("bmp", "ppm", "webp", "gif")]

    def attempt(rng: random.Random) -> None:
        content = mutated(rng.choice(seeds), rng)
        for look in (read_header, lambda content: decode(content, (8, 8), 3)):
            try:
                look(content)
            except UnreadableError as error:
                assert str(error).startswith("it ")

    fuzz(attempt, "images")


@pytest.mark.timeout(900)
def test_fuzzed_archives_and_arrays(tmp_path: Path) -> None:
    from harness.data.archive import Caps, unpack
    from harness.data.npz import read_npz

    seeds: dict[str, bytes] = {}
    members = [(f"pets/{name}/{number}.png", WHOLE) for name in ("a", "b") for number in range(2)]
    for suffix, mode in ((".tar", "w"), (".tar.gz", "w:gz"), (".tar.bz2", "w:bz2"), (".tar.xz", "w:xz")):
        file = tar_of(f"seed{suffix}", [(tarfile.TarInfo(name), content) for name, content in members], mode)
        seeds[suffix] = Path(file).read_bytes()
    for name, kind in (("a", zipfile.ZIP_STORED), ("b", zipfile.ZIP_DEFLATED), ("c", zipfile.ZIP_LZMA)):
        with zipfile.ZipFile(f"{name}.zip", "w", kind) as made:
            for member, content in members:
                made.writestr(member, content)
        seeds[f"{name}.zip"] = Path(f"{name}.zip").read_bytes()
    for name, save in (("plain", np.savez), ("packed", np.savez_compressed)):
        save("seed.npz", x=noise(0, (20, 4, 4)), y=np.arange(20) % 2, classes=np.array(["a", "b"]))
        seeds[f"{name}.npz"] = Path("seed.npz").read_bytes()
    caps = Caps(files=50, total=4_000_000, file=2_000_000, ratio=50, ratio_from=500_000)
    Path("fuzz").mkdir()

    def attempt(rng: random.Random) -> None:
        suffix = rng.choice(list(seeds))
        file = Path("fuzz", f"input{suffix}")
        file.write_bytes(mutated(seeds[suffix], rng))
        try:
            if suffix.endswith(".npz"):
                read_npz(file)
            else:
                unpack(file, Path("fuzz/out"), caps)
        except DataError as error:
            assert str(file) in str(error)
        subprocess.run(["rm", "-rf", "fuzz/out"], check=True)
        assert {entry.name for entry in Path("fuzz").iterdir()} <= {f"input{one}" for one in seeds}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fuzz(attempt, "archives and arrays")


@pytest.mark.timeout(900)
def test_fuzzed_experiment_files() -> None:
    whole = (
        "name: mine\nseed: 3\ndataset: {source: digits, image_size: [8, 8]}\nalso: [{metric: parameters}]\n"
        "limits: {parameters: 1000}\nsearch: {trials: 5, target: 0.9}\nscheduler: {kind: asha}\n"
        "space:\n  depth: {type: int, low: 1, high: 3, step: 1}\n  optimizer: [sgd, adam]\n"
        "  learning_rate: auto\n  dropout: {type: float, low: 0.0, high: 0.5, when: {optimizer: [adam]}}\n"
        "start_with: [{depth: 2}]\n"
    )
    words = [
        *WRONG_VALUES, "low", "high", "when", "space", "!!set", "&a", "*a", "<<:", "- ", "? ", "{", "[", ": ",
        "\t", "0x", "1_000", "1e400", "-.inf", "~", "|", ">", "%", "\x1b", "\u2028", "10:20:30",
    ]  # fmt: skip

    def attempt(rng: random.Random) -> None:
        if rng.random() < 0.5:
            content = mutated(whole.encode(), rng)
        else:
            parts = [part for part in whole.replace(",", " , ").split(" ") if part]
            for _ in range(rng.randrange(1, 5)):
                parts[rng.randrange(len(parts))] = rng.choice(words)
            content = " ".join(parts).encode()
        Path("mine.yaml").write_bytes(content)
        try:
            load("mine.yaml").space.size()
        except HarnessError as error:
            assert error.exit_code == 2
            assert len(str(error)) < 20_000

    fuzz(attempt, "experiment files")
