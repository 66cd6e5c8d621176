"""Frames of a video as the bytes of image files, so that they become pixels as every image does.

FFmpeg is given an open file and told what its first bytes say it is, so that no file can have it open
another one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.errors import DataError


def read_video(
    path: Path, kind: str, every: int, max_pixels: int, take: Callable[[int, float, bytes], object]
) -> float:
    """Hand on every so-many-th frame of a video, from the first one.

    Args:
        path: the file.
        kind: FFmpeg's name for its container, as `harness.data.containers` finds it.
        every: 1 for all frames, 2 for every other one, and so on.
        max_pixels: a video of larger frames is refused.
        take: is given the frame's number from 0, the seconds at which it appears, and the bytes of a PPM file
            of it, upright.

    Returns:
        When the last frame is gone, in seconds.

    Raises:
        DataError: PyAV is not installed, or the video is damaged; frames before the damage were handed on.
    """
    try:
        import av
    except ImportError as error:
        raise DataError(
            "Videos are read by PyAV, which is not installed: pip install 'harness[video]'"
        ) from error
    end = 0.0
    try:
        with path.open("rb") as file, av.open(file, "r", format=kind) as container:
            if not container.streams.video:
                raise DataError("The video has no pictures.")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            if stream.width * stream.height > max_pixels:
                raise DataError(
                    f"The video's frames have {stream.width * stream.height:,} pixels; at most "
                    f"{max_pixels:,} are accepted."
                )
            length = 1 / float(stream.average_rate or 25)
            for number, frame in enumerate(container.decode(stream)):
                seconds = number * length if frame.time is None else float(frame.time)
                end = seconds + length
                if number % every == 0:
                    pixels = frame.to_ndarray(format="rgb24")
                    # Cameras held sideways only note that they were.
                    take(number, seconds, _as_file(np.rot90(pixels, round(frame.rotation / 90) % 4)))
    except av.FFmpegError as error:
        where = f" after {end:.1f} s" if end else ""
        raise DataError(f"The video is damaged{where} ({error.strerror}).") from error
    return end


def _as_file(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    """A PPM of pixels (H, W, 3)."""
    return b"P6 %d %d 255\n" % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes()
