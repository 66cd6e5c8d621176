"""Clips: frames at evenly spread times of a video or an animation, each made pixels as an image is.

What a file is comes from its content, never from its name. FFmpeg is given the bytes alone and told what they
are, so that no file can have it open another one.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.data.containers import container_of
from harness.data.decode import (
    MAX_PIXELS,
    Header,
    UnreadableError,
    damage,
    fitted,
    open_image,
    read_header,
    refuse_larger,
)
from harness.errors import DataError

if TYPE_CHECKING:
    import av
    from PIL import Image

CONTAINERS = "MP4, MOV, AVI, WebM, Matroska, GIF"
STANDARD_DURATION = 100
"""Milliseconds for which a frame of a GIF that names none is shown, as browsers do."""
EARLY = 0.5
"""The share of its claimed time of which a clip must have frames, or it is cut off."""


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """Some frames of a clip."""

    pixels: npt.NDArray[np.uint8]
    """uint8 (frames, height, width, channels)."""
    full_size: tuple[int, int]
    """Height and width of a frame, upright, before it was scaled."""
    repeated: bool
    """Whether a frame is there more than once, because the clip has no other at another time."""


@dataclass(frozen=True, slots=True)
class _Reel:
    """An opened clip."""

    start: Fraction
    end: Fraction
    """When its first frame appears and its last one is gone, in whatever unit."""
    frames: Callable[[], Iterator[tuple[Fraction, Any]]]
    """Decodes it from the start: when a frame appears, and the frame."""
    picture: Callable[[Any], Image.Image]
    """The upright picture of a frame."""


def decode_clip(
    content: bytes, frames: int, size: tuple[int, int], channels: int, max_pixels: int = MAX_PIXELS
) -> DecodedClip:
    """The frames that are seen in the middle of each of so many equal parts of a clip's time.

    Args:
        content: the file.
        frames: how many.
        size: height and width of the result.
        channels: 1 for grey, 3 for red, green and blue.
        max_pixels: larger frames are refused.

    Raises:
        UnreadableError: with the reason.
        DataError: it is a video, and PyAV is not installed.
    """
    with damage(max_pixels), _opened(content, max_pixels) as reel:
        half = (reel.end - reel.start) / (2 * frames)
        times = [reel.start + (2 * number + 1) * half for number in range(frames)]
        pixels = np.zeros((frames, *size, channels), np.uint8)
        last, different, full_size = None, 0, (0, 0)
        for number, frame in enumerate(_seen_at(times, reel.frames())):
            if frame is last:
                pixels[number] = pixels[number - 1]
                continue
            picture = reel.picture(frame)
            refuse_larger(picture.size, max_pixels)
            pixels[number] = fitted(picture, size, channels)
            last, different, full_size = frame, different + 1, (picture.size[1], picture.size[0])
    return DecodedClip(pixels, full_size, different < frames)


def clip_header(content: bytes, max_pixels: int = MAX_PIXELS) -> Header:
    """Size and colour by the first frame; raises UnreadableError, or DataError as `decode_clip` does."""
    if _is_gif(content):
        return read_header(content, max_pixels)
    with damage(max_pixels), _video(content, max_pixels) as (container, stream):
        for frame in container.decode(stream):
            width, height = frame.width, frame.height
            if _quarters(frame) % 2:
                width, height = height, width
            return Header(height, width, frame.format.name.startswith(("gray", "mono")))
    raise UnreadableError("it has no frame that can be decoded")


def _seen_at(times: Sequence[Fraction], frames: Iterator[tuple[Fraction, Any]]) -> Iterator[Any]:
    """The frame that is seen at each of the times, which ascend; the first one before it appears."""
    seen, before = 0, None
    for appears, frame in frames:
        while seen < len(times) and times[seen] < appears:
            yield frame if before is None else before
            seen += 1
        if seen == len(times):
            return
        before = frame
    if before is None:
        raise UnreadableError("it has no frame that can be decoded")
    for _ in times[seen:]:
        yield before


@contextmanager
def _opened(content: bytes, max_pixels: int) -> Iterator[_Reel]:
    if _is_gif(content):
        yield _animation(content, max_pixels)
        return
    start, end = _times(content, max_pixels)
    with _video(content, max_pixels) as (container, stream):

        def frames() -> Iterator[tuple[Fraction, Any]]:
            appears = start
            for frame in container.decode(stream):
                if frame.pts is not None and frame.time_base is not None:
                    appears = frame.pts * frame.time_base
                yield appears, frame

        yield _Reel(start, end, frames, _upright)


def _is_gif(content: bytes) -> bool:
    return content.startswith(b"GIF8")


def _animation(content: bytes, max_pixels: int) -> _Reel:
    """A GIF, whose times are milliseconds."""

    def frames() -> Iterator[tuple[Fraction, Image.Image]]:
        appears = Fraction(0)
        with open_image(content, max_pixels) as image:
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                yield appears, image.copy()
                appears += _shown_for(image)

    end = Fraction(0)
    with open_image(content, max_pixels) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            end += _shown_for(image)
    return _Reel(Fraction(0), end, frames, lambda frame: frame)


def _shown_for(image: Image.Image) -> int:
    return int(image.info.get("duration") or STANDARD_DURATION)


def _times(content: bytes, max_pixels: int) -> tuple[Fraction, Fraction]:
    """When the first frame of a video appears and the last one is gone, in seconds, by its packets."""
    with _video(content, max_pixels) as (container, stream):
        unit, claimed = stream.time_base or Fraction(1), stream.duration or 0
        begins: list[int] = []
        ends: list[int] = []
        for packet in container.demux(stream):
            at = packet.dts if packet.pts is None else packet.pts
            if at is not None and packet.size:
                begins.append(at)
                ends.append(at + (packet.duration or 0))
    if not begins:
        raise UnreadableError("it has no frames")
    first, last = min(begins), max(begins)
    end = Fraction(max(ends))
    if end == last and len(begins) > 1:  # how long the last frame is shown is not said: about as others are
        end += Fraction(last - first, len(begins) - 1)
        end = min(end, Fraction(first + claimed)) if first + claimed > last else end
    if len(begins) > 1 and end - first < EARLY * claimed:
        raise UnreadableError(
            f"it is cut off: it claims to last {float(claimed * unit):.1f} s, and there are frames of "
            f"{float((end - first) * unit):.1f} s"
        )
    return first * unit, end * unit


@contextmanager
def _video(content: bytes, max_pixels: int) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    if not content:
        raise UnreadableError("it is empty")
    kind = container_of(content)
    if kind is None:
        raise UnreadableError(f"it is none of {CONTAINERS}, or damaged")
    try:
        import av
    except ImportError as error:
        raise DataError(
            "Videos are read by PyAV, which is not installed: pip install 'harness[video]'. Clips that are "
            "GIFs need nothing."
        ) from error
    with av.open(io.BytesIO(content), mode="r", format=kind) as container:
        if not container.streams.video:
            raise UnreadableError("it has no pictures")
        stream = container.streams.video[0]
        refuse_larger((stream.width, stream.height), max_pixels)
        yield container, stream


def _quarters(frame: av.VideoFrame) -> int:
    """By how many right angles a frame is to be turned counterclockwise."""
    return round(frame.rotation / 90) % 4


def _upright(frame: av.VideoFrame) -> Image.Image:
    picture: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    quarters = _quarters(frame)
    return picture.rotate(90 * quarters, expand=True) if quarters else picture
