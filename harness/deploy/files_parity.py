"""Whether an exported model sees in image files what training saw in them.

`serving_bytes` is given files of the data set itself, of every kind that it has, and files drawn from
reference images, of every kind there is. It must see the pixels that `harness.data.decode` makes of the same
files, and predict what the model predicts for those; what it cannot read it must refuse.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.decode import MAX_PIXELS, UnreadableError, decode
from harness.data.kinds import format_of
from harness.data.originals import Originals
from harness.deploy.drawn import DRAWINGS, NO_IMAGES, REFUSED, draw
from harness.deploy.parity import Images, Probabilities, check_names
from harness.errors import ExportError
from harness.records import Dataset

ARTEFACT = "saved_model serving_bytes"
TOLERANCE = 0.02
"""Largest allowed difference of a probability."""
GREY_LEVELS = 2
"""Largest allowed difference of a pixel: a model that is hardly trained would not show a greater one."""
SHOWN = 3


@dataclass(frozen=True, slots=True)
class FilesParity:
    """How `serving_bytes` did on image files."""

    artefact: str
    originals: int
    """Files of the data set that were read."""
    kinds: int
    """How many kinds they are of."""
    drawn: int
    """Files drawn for it that were read."""
    images: int
    """All that were read."""
    largest_difference: float
    largest_pixel_difference: int
    """In grey levels."""
    same_class: int
    """Of those that were read: how many have the class that their decoded pixels have."""
    read: tuple[str, ...]
    """Formats."""
    refused: tuple[str, ...]
    """Formats that training reads and this does not."""
    refused_kinds: dict[str, int]
    """Kinds of files of the data set that are refused, and how many files those are."""
    files: int | None
    """Files of the data set; None where they are not known, or there are none."""
    reasons: tuple[str, ...] = ()
    """How files of the data set were refused, one of each."""

    def sentence(self) -> str:
        """For people."""
        ours = "no original files (none are kept with the study)"
        if self.files is not None:
            ours = f"{_counted(self.originals, 'original file')} of {_counted(self.kinds, 'kind')}"
        refused = f"; refused: {', '.join(self.refused)}" if self.refused else ""
        return (
            f"{self.artefact}: {ours} and {self.drawn} drawn ones: pixels differ by at most "
            f"{self.largest_pixel_difference} of 255, probabilities by {self.largest_difference:.1e}, same "
            f"class on {self.same_class} of {self.images}{refused}"
        )

    def warnings(self) -> list[str]:
        """What whoever ships the model must know, in sentences."""
        if not self.refused_kinds or not self.files:
            return []
        several = len(self.refused_kinds) > SHOWN
        kinds = "; ".join(list(self.refused_kinds)[:SHOWN]) + "; …" * several
        count = sum(self.refused_kinds.values())
        why = f" The answer is, for example: {self.reasons[0]}" if self.reasons else ""
        return [
            f"serving_bytes does not read {kinds}: {count:,} of the data set's {self.files:,} files "
            f"({count / self.files:.0%}).{why} Convert such files before you send them, or send decoded "
            "pixels to serving_default."
        ]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file that was read."""

    name: str
    format: str
    pixels: npt.NDArray[np.uint8]
    """As training sees them, (H, W, C)."""
    pixel_difference: int
    """From those that the graph sees."""
    probabilities: Probabilities
    """What the signature answered, float32 (K,)."""


def files_parity(
    served: Any,
    predict: Callable[[npt.NDArray[np.float32]], Probabilities],
    images: Images,
    originals: Originals | None,
    dataset: Dataset,
    max_pixels: int,
) -> FilesParity:
    """Try the signature for image files.

    Args:
        served: the SavedModel's signatures, by name.
        predict: the trained model, from float32 (n, H, W, C) to probabilities float32 (n, K).
        images: reference images, uint8 (n, H, W, C), to draw files from.
        originals: files of the data set, if they are known.
        dataset: what the model was trained on.
        max_pixels: as in training.

    Raises:
        ExportError: it predicts something else than the model does for the decoded pixels, reads what is no
            image, or refuses what it should read.
    """
    ours: list[_Seen] = []
    refusals: dict[str, str] = {}
    for original in originals.files if originals else ():
        seen = _tried(served, original.name, original.kind, original.content, dataset, max_pixels)
        if isinstance(seen, _Seen):
            ours.append(seen)
        else:
            refusals.setdefault(original.kind, seen)
    drawn: list[_Seen] = []
    for number, drawing in enumerate(DRAWINGS):
        content = draw(drawing, images[number % len(images)])
        seen = _tried(served, f"a drawn file ({drawing.name})", drawing.name, content, dataset, max_pixels)
        if isinstance(seen, str):
            raise ExportError(
                f"The exported SavedModel does not read a drawn file ({drawing.name}); it answers: {seen}"
            )
        drawn.append(seen)
    for drawing in (*REFUSED, *NO_IMAGES):
        answer, _ = _served(served, draw(drawing, images[0]))
        if answer is not None:
            raise ExportError(
                f"The exported SavedModel classifies what it should refuse: {drawing.name}. Nothing was "
                "exported."
            )
    every = [*ours, *drawn]
    largest, same = _compared(every, predict(np.stack([one.pixels for one in every]).astype(np.float32)))
    refused = tuple(dict.fromkeys(format_of(drawing.name) for drawing in REFUSED))
    counts = originals.counts if originals else {}
    untold = {kind: "" for kind in counts if format_of(kind) in refused and kind not in refusals}
    return FilesParity(
        artefact=ARTEFACT,
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
        reasons=tuple(dict.fromkeys(refusals.values())),
    )


def _tried(
    served: Any, name: str, kind: str, content: bytes, dataset: Dataset, max_pixels: int
) -> _Seen | str:
    """What was seen in a file, or why it was refused."""
    import tensorflow as tf

    pixels = _decoded(content, dataset, max_pixels)
    if pixels is None:
        return "it is not read in training either."
    answer, reason = _served(served, content)
    if answer is None:
        return reason
    check_names(answer, dataset.classes)
    seen = served["decode_bytes"](image_bytes=tf.constant([content]))["image"].numpy()[0]
    difference = int(np.abs(seen.astype(int) - pixels.astype(int)).max())
    if difference > GREY_LEVELS:
        raise ExportError(
            f"The exported SavedModel sees something else in {name} than training did: pixels differ by up "
            f"to {difference} of 255 (allowed {GREY_LEVELS}). Nothing was exported."
        )
    return _Seen(name, format_of(kind), pixels, difference, answer["probabilities"].numpy()[0])


def _decoded(content: bytes, dataset: Dataset, max_pixels: int) -> npt.NDArray[np.uint8] | None:
    """The pixels that training sees; None if it would not read the file."""
    height, width, channels = dataset.image_shape
    further: tuple[Any, ...] = ()
    if dataset.pixel_range is not None or max_pixels != MAX_PIXELS:
        further = (dataset.pixel_range, max_pixels)
    try:
        return decode(content, (height, width), channels, *further).pixels
    except UnreadableError:
        return None


def _served(served: Any, content: bytes) -> tuple[Any, str]:
    """The answer and nothing, or None and why it is refused."""
    import tensorflow as tf

    try:
        with _quiet():
            return served["serving_bytes"](image_bytes=tf.constant([content])), ""
    except tf.errors.OpError as error:
        found = re.search(r"\[image_bytes\[0\] (.*?)\]\n", str(error))
        return None, f"the file {found[1]}" if found else "the file is damaged."


def _compared(seen: list[_Seen], expected: Probabilities) -> tuple[float, int]:
    """The largest difference of a probability, and how many files get the same class."""
    largest, alike = 0.0, 0
    for one, wanted in zip(seen, expected, strict=True):
        difference = float(np.abs(one.probabilities - wanted).max())
        best, second = np.sort(wanted)[::-1][:2]
        same = int(one.probabilities.argmax()) == int(wanted.argmax())
        if not difference <= TOLERANCE or not (same or best - second < TOLERANCE):
            raise ExportError(
                f"The exported SavedModel predicts something else for {one.name} than the model does for its "
                f"pixels: probabilities differ by up to {difference:.2g} (allowed {TOLERANCE:g})"
                f"{'' if same else ', and it gets another class'}. Nothing was exported."
            )
        largest, alike = max(largest, difference), alike + same
    return largest, alike


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what decoders written in C say to standard error about files that are cut off."""
    sys.stderr.flush()
    kept, silent = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silent, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silent)
