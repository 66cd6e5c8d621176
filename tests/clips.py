"""Clips, drawn: animations and videos whose frames are known."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

Frames = npt.NDArray[np.uint8]
"""uint8 (T, H, W) of grey frames, or (T, H, W, 3)."""
CODECS = {".mp4": "mpeg4", ".avi": "mpeg4", ".mov": "mpeg4", ".webm": "libvpx", ".mkv": "libx264"}


def grey(*values: int, size: tuple[int, int] = (16, 16)) -> Frames:
    """A frame of one grey for each of the values: uint8 (T, height, width)."""
    return np.stack([np.full(size, value, np.uint8) for value in values])


def write_gif(path: Path, frames: Frames, milliseconds: Sequence[int] | int = 100) -> Path:
    """Write an animation; nothing of the pixels of grey frames is lost."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [Image.fromarray(frame) for frame in frames]
    shown = milliseconds if isinstance(milliseconds, int) else list(milliseconds)
    first.save(path, save_all=True, append_images=others, duration=shown, loop=0)
    return path


def write_video(path: Path, frames: Frames, milliseconds: Sequence[int] | int = 100) -> Path:
    """Write a video in the container that the suffix names; a frame is shown for so many milliseconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [milliseconds] * len(frames) if isinstance(milliseconds, int) else list(milliseconds)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix], rate=10)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, pixels in enumerate(frames):
            coloured = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
            frame = av.VideoFrame.from_ndarray(coloured, format="rgb24")
            frame.pts, frame.time_base = sum(shown[:number]), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn(path: Path) -> None:
    """Have an .mp4 say that it is to be shown turned clockwise by a right angle, as a telephone's does."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    assert struct.unpack_from(">i", content, at) == (1 << 16,)  # the identity matrix begins there
    struct.pack_into(">9i", content, at, 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(content))


def moving_dot(rng: np.random.Generator, frames: int, side: int) -> Frames:
    """A bright dot that moves to the right over a random background: uint8 (frames, side, side).

    It comes in at the left where it goes out at the right, so that a frame does not tell which one it is.
    """
    background = rng.integers(0, 120, (side, side))
    row, column, step = int(rng.integers(side)), int(rng.integers(side)), int(rng.integers(1, 3))
    found = np.repeat(background[None], frames, axis=0)
    for number in range(frames):
        rows, columns = np.arange(row, row + 3) % side, np.arange(3) + column + step * number
        found[number][np.ix_(rows, columns % side)] = 255
    return found.astype(np.uint8)


def draw_motions(folder: Path, each: int, frames: int = 6, side: int = 16, seed: int = 0) -> Path:
    """Class folders `left` and `right` with so many animations each.

    Those of `left` are drawn as those of `right`, and run backwards: no frame, and no set of frames without
    their order, says of which class it is.
    """
    for label, name in enumerate(("left", "right")):
        for number in range(each):
            clip = moving_dot(np.random.default_rng([seed, label, number]), frames, side)
            write_gif(folder / name / f"{number:03d}.gif", clip if name == "right" else clip[::-1])
    return folder
