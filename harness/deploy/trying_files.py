"""Whether an exported model sees in image files what training saw in them.

It is given files of the data set itself, of every kind that it has, and files drawn from reference images,
of every kind there is. It must see the pixels that `harness.data.decode` makes of the same files, and predict
what the model predicts for those; what it cannot read it must refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.decode import UnreadableError, decode
from harness.data.file_kinds import format_of
from harness.data.originals import Originals
from harness.deploy.drawn import DRAWINGS, NO_IMAGES, REFUSED, draw
from harness.deploy.files_parity import FilesParity
from harness.deploy.formats.format import ExportFormat, ModelToExport, SeenFile
from harness.deploy.parity import Images, Probabilities
from harness.errors import ExportError
from harness.records import Dataset

TOLERANCE = 0.02
"""Largest allowed difference of a probability."""
GREY_LEVELS = 2
"""Largest allowed difference of a pixel: a model that is hardly trained would not show a greater one."""


@dataclass(frozen=True, slots=True)
class _Tried:
    """A file that was read."""

    name: str
    format: str
    pixels: npt.NDArray[np.uint8]
    """The pixels that training sees, (H, W, C)."""
    pixel_difference: int
    """The largest difference from the pixels that the exported model saw, in grey levels."""
    probabilities: Probabilities
    """What the exported model answered, float32 (K,)."""


def files_parity(
    exported: ExportFormat,
    place: Path,
    model: ModelToExport,
    images: Images,
    originals: Originals | None,
) -> FilesParity | None:
    """Try an exported model on image files.

    Args:
        exported: its format.
        place: its file or folder.
        model: what was exported.
        images: reference images, uint8 (n, H, W, C), to draw files from.
        originals: files of the data set, if they are known.

    Returns:
        How it did; None if it takes no image files, as no model of clips does.

    Raises:
        ExportError: it predicts something else than the model does for the decoded pixels, reads what is no
            image, or refuses what it should read.
    """
    if exported.reader is None or model.dataset.frames:
        return None
    reader = exported.reader(place, model.dataset)
    attempt = _Attempt(exported.title, reader.read, model.dataset, model.max_pixels)
    ours: list[_Tried] = []
    refusals: dict[str, str] = {}
    for original in originals.files if originals else ():
        tried = attempt(original.name, original.kind, original.content)
        if isinstance(tried, _Tried):
            ours.append(tried)
        else:
            refusals.setdefault(original.kind, tried)
    drawn = _read_drawn(attempt, images)
    _refuse_drawn(attempt, images)
    every = [*ours, *drawn]
    largest, same = _compared(exported.title, every, model.predict(np.stack([one.pixels for one in every])))
    refused = tuple(dict.fromkeys(format_of(drawing.name) for drawing in REFUSED))
    counts = originals.counts if originals else {}
    untold = {kind: "" for kind in counts if format_of(kind) in refused and kind not in refusals}
    return FilesParity(
        artefact=f"{exported.file} {reader.entry}".strip(),
        originals=len(ours),
        kinds=len({one.kind for one in originals.files} - refusals.keys()) if originals else 0,
        drawn=len(drawn),
        images=len(every),
        largest_difference=largest,
        largest_pixel_difference=max(one.pixel_difference for one in every),
        same_class=same,
        read=tuple(sorted({one.format for one in every})),
        refused=refused,
        refused_kinds={kind: counts[kind] for kind in (*refusals, *untold)},
        files=sum(counts.values()) if originals else None,
        entry=reader.entry,
        pixels_entry=next(iter(exported.entries)),
        reasons=tuple(dict.fromkeys(refusals.values())),
    )


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Gives a file to the exported model and to the decoder that training uses."""

    title: str
    read: Callable[[bytes], SeenFile | str]
    dataset: Dataset
    max_pixels: int

    def __call__(self, name: str, kind: str, content: bytes) -> _Tried | str:
        """What was seen in a file, or why it was refused; ExportError if they see different things."""
        pixels = self._as_in_training(content)
        if pixels is None:
            return "it is not read in training either."
        seen = self.read(content)
        if isinstance(seen, str):
            return seen
        difference = int(np.abs(seen.pixels.astype(int) - pixels.astype(int)).max())
        if difference > GREY_LEVELS:
            raise ExportError(
                f"The exported {self.title} sees something else in {name} than training did: pixels differ "
                f"by up to {difference} of 255 (allowed {GREY_LEVELS}). Nothing was exported."
            )
        return _Tried(name, format_of(kind), pixels, difference, seen.probabilities)

    def _as_in_training(self, content: bytes) -> npt.NDArray[np.uint8] | None:
        """The pixels that training sees; None if it would not read the file."""
        height, width, channels = self.dataset.image_shape
        try:
            return decode(
                content, (height, width), channels, self.dataset.pixel_range, self.max_pixels
            ).pixels
        except UnreadableError:
            return None


def _read_drawn(attempt: _Attempt, images: Images) -> list[_Tried]:
    drawn: list[_Tried] = []
    for number, drawing in enumerate(DRAWINGS):
        content = draw(drawing, images[number % len(images)])
        tried = attempt(f"a drawn file ({drawing.name})", drawing.name, content)
        if isinstance(tried, str):
            raise ExportError(
                f"The exported {attempt.title} does not read a drawn file ({drawing.name}); it answers: "
                f"{tried}"
            )
        drawn.append(tried)
    return drawn


def _refuse_drawn(attempt: _Attempt, images: Images) -> None:
    for drawing in (*REFUSED, *NO_IMAGES):
        if not isinstance(attempt.read(draw(drawing, images[0])), str):
            raise ExportError(
                f"The exported {attempt.title} classifies what it should refuse: {drawing.name}. Nothing was "
                "exported."
            )


def _compared(title: str, tried: list[_Tried], expected: Probabilities) -> tuple[float, int]:
    """The largest difference of a probability, and how many files get the same class."""
    largest, alike = 0.0, 0
    for one, wanted in zip(tried, expected, strict=True):
        difference = float(np.abs(one.probabilities - wanted).max())
        best, second = np.sort(wanted)[::-1][:2]
        same = int(one.probabilities.argmax()) == int(wanted.argmax())
        if not difference <= TOLERANCE or not (same or best - second < TOLERANCE):
            raise ExportError(
                f"The exported {title} predicts something else for {one.name} than the model does for its "
                f"pixels: probabilities differ by up to {difference:.2g} (allowed {TOLERANCE:g})"
                f"{'' if same else ', and it gets another class'}. Nothing was exported."
            )
        largest, alike = max(largest, difference), alike + same
    return largest, alike
