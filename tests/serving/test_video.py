"""Videos: every so-many-th frame, upright; classes smoothed over time, and segments without gaps."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.containers import container_of
from harness.data.decode import decode
from harness.errors import DataError
from harness.serving.results import UNSURE, FrameResult, Guess
from harness.serving.timeline import frame_results, segments_of, smoothed
from harness.serving.video import read_video
from tests.serving.conftest import COLOURS, film, paint


def frames_of(path: Path, every: int = 1, most: int = 10**7) -> tuple[list[tuple[int, float, bytes]], float]:
    kind = container_of(path.read_bytes()[:64])
    assert kind is not None
    taken: list[tuple[int, float, bytes]] = []
    end = read_video(path, kind, every, most, lambda *frame: taken.append(frame))
    return taken, end


@pytest.mark.parametrize("name", ["film.mp4", "film.avi", "film.webm", "film.mkv", "film.mov"])
def test_every_kind_of_video_is_read(name: str) -> None:
    path = film(Path(name), ["red", "blue"], frames=12)
    taken, end = frames_of(path, every=5)
    assert [number for number, _, _ in taken] == [0, 5, 10, 15, 20]
    assert end == pytest.approx(2.4, abs=0.11)
    assert [at for _, at, _ in taken] == pytest.approx([0, 0.5, 1.0, 1.5, 2.0], abs=0.05)
    first, last = (decode(taken[at][2], (8, 8), 3).pixels.mean(axis=(0, 1)) for at in (0, -1))
    assert first.argmax() == 0
    assert last.argmax() == 2


def test_what_is_no_video_is_none() -> None:
    assert container_of(paint(Path("a.png"), "red").read_bytes()) is None
    assert container_of(b"") is None
    assert container_of(b"\0\0\0\x18ftypheic") is None
    assert container_of(b"#EXTM3U\nhttp://example.org/") is None


def test_damage_is_told_after_what_could_be_read() -> None:
    path = film(Path("film.avi"), ["red"], frames=30)
    Path("half.avi").write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"^The video is damaged|has no pictures"):
        frames_of(Path("half.avi"))
    with pytest.raises(DataError, match="at most 100 are accepted"):
        frames_of(path, most=100)


@given(
    st.integers(1, 40).flatmap(
        lambda count: st.tuples(
            st.lists(st.floats(0, 1, width=32), min_size=count, max_size=count), st.integers(1, 9)
        )
    )
)
def test_smoothing_is_the_mean_of_the_frames_around(case: tuple[list[float], int]) -> None:
    values, width = case
    found = smoothed(np.array(values, np.float32)[:, None], width)[:, 0]
    for at in range(len(values)):
        around = values[max(0, at - width // 2) : at + (width - 1) // 2 + 1]
        assert found[at] == pytest.approx(float(np.mean(around)), abs=1e-5)


@given(st.lists(st.sampled_from(["a", "b", UNSURE]), min_size=1, max_size=30))
def test_segments_cover_the_time_once(names: list[str]) -> None:
    frames = [FrameResult(at, at / 2, Guess(name, 0.5), Guess(name, 0.5)) for at, name in enumerate(names)]
    parts = segments_of(frames, len(names) / 2)
    assert parts[0].start == 0
    assert parts[-1].end == len(names) / 2
    for one, following in pairwise(parts):
        assert one.end == following.start
        assert one.guess.name != following.guess.name
    for frame in frames:
        (part,) = [part for part in parts if part.start <= frame.seconds < part.end]
        assert part.guess.name == frame.smoothed.name


def test_a_frame_that_differs_from_those_around_is_smoothed_away() -> None:
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.1, 0.9]] + [[0.9, 0.1]] * 4, np.float32)
    found = frame_results(range(9), [0.1 * at for at in range(9)], probabilities, ("a", "b"), 5, 0.8)
    assert [one.guess.name for one in found] == ["a"] * 4 + ["b"] + ["a"] * 4
    assert [one.smoothed.name for one in found] == ["a", "a", *[UNSURE] * 5, "a", "a"]


def test_a_turned_video_is_upright() -> None:
    """Phones held upright note a quarter turn, clockwise, beside pictures that lie on their side."""
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, :32], pixels[:, 32:] = COLOURS["red"], COLOURS["blue"]
    content = film(Path("film.mp4"), [pixels], frames=3).read_bytes()
    numbers = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30), (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    before, after = (struct.pack(">9i", *matrix) for matrix in numbers)
    at = content.index(before, content.index(b"tkhd"))
    Path("film.mp4").write_bytes(content[:at] + after + content[at + len(after) :])
    taken, _ = frames_of(Path("film.mp4"))
    upright = decode(taken[0][2], (64, 32), 3).pixels
    assert taken[0][2].startswith(b"P6 32 64 255\n")
    assert upright[:24].mean(axis=(0, 1)).argmax() == 0
    assert upright[40:].mean(axis=(0, 1)).argmax() == 2
