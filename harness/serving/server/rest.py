"""TensorFlow Serving's REST form of a request and of its answer.

    {"instances": [pixels, …]}                          an image each, (H, W, C), raw pixels 0 to 255
    {"instances": [{"b64": "…"}, …]}                    the bytes of an image file each
    {"inputs": …}                                       the same by columns: all images in one value
    {"instances": [frames, …]}                          for a model of clips, the frames of a clip each,
                                                        (T, H, W, C); it takes no bytes of files here
    {"signature_name": "serving_bytes", "instances": …}

An instance, or `inputs`, may also name its input: `{"image": pixels}`, `{"image_bytes": {"b64": "…"}}`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json

from harness.messages import and_list, nearest, shown
from harness.serving.server.refusal import Refusal

IMAGE, IMAGE_BYTES, B64 = "image", "image_bytes", "b64"
FROM_PIXELS = {
    "serving_default": "DT_FLOAT",
    "serving_uint8": "DT_UINT8",
    "serving_int32": "DT_INT32",
    "serving_int64": "DT_INT64",
    "serving_float64": "DT_DOUBLE",
}
"""The signatures that take pixels, and the types that they have in TensorFlow Serving."""
FROM_FILES = "serving_bytes"
"""The signature that takes the bytes of image files."""
WHOLE = frozenset({"DT_UINT8", "DT_INT32", "DT_INT64"})
KEYS = ("signature_name", "instances", "inputs")
Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """What is to be classified."""

    images: Pixels | tuple[bytes, ...]
    """Raw pixels float32 (N, H, W, C), or (N, T, H, W, C) of clips; or the bytes of N image files."""
    by_column: bool
    """Whether the answer has the images in columns, `outputs`, rather than in rows, `predictions`."""


def read_request(body: bytes, example_shape: tuple[int, ...], most_images: int) -> PredictRequest:
    """What the body of a request asks for.

    Args:
        body: JSON, as above.
        example_shape: height, width, channels of an image; of a clip, before them the frames.
        most_images: images or clips that may be in it.

    Raises:
        Refusal: it is not what is expected.
    """
    noun = "clip" if len(example_shape) > 3 else "image"
    asked = _object(body)
    signature = _signature(asked, signatures_for(example_shape))
    by_column = "inputs" in asked
    if by_column == ("instances" in asked):
        raise Refusal(400, "The body must have one of 'instances' and 'inputs'.")
    where = "inputs" if by_column else "instances"
    values = _column(asked[where]) if by_column else asked[where]
    if not isinstance(values, list) or not values:
        raise Refusal(400, f"{where!r} must be a list of {noun}s, at least one.")
    if len(values) > most_images:
        raise Refusal(
            400, f"{where!r} has {len(values):,} {noun}s; at most {most_images:,} are taken at once."
        )
    values = [_unnamed(value, f"{where}[{at}]") for at, value in enumerate(values)]
    if signature == FROM_FILES or (signature is None and isinstance(values[0], dict | str)):
        if noun == "clip":
            raise Refusal(
                400,
                f"{where!r} must be arrays of the frames of clips; files of clips are classified where they "
                "are sent to /predict.",
            )
        contents = tuple(_content(value, f"{where}[{at}]") for at, value in enumerate(values))
        return PredictRequest(contents, by_column)
    return PredictRequest(_pixels(values, where, example_shape, signature), by_column)


def signatures_for(example_shape: tuple[int, ...]) -> list[str]:
    """The signatures of a model of images, (H, W, C), or of clips, (T, H, W, C)."""
    return [*FROM_PIXELS] if len(example_shape) > 3 else [*FROM_PIXELS, FROM_FILES]


def answer(probabilities: npt.NDArray[np.float32], classes: Sequence[str], *, by_column: bool) -> Any:
    """The answer to a request, to be written as JSON.

    Args:
        probabilities: float32 (N, K).
        classes: K names.
        by_column: as the request had it.
    """
    best = probabilities.argmax(axis=1).tolist()
    each = probabilities.tolist()
    if by_column:
        named = [classes[index] for index in best]
        return {"outputs": {"probabilities": each, "class_index": best, "class": named}}
    return {
        "predictions": [
            {"probabilities": row, "class_index": index, "class": classes[index]}
            for row, index in zip(each, best, strict=True)
        ]
    }


def _object(body: bytes) -> dict[str, Any]:
    try:
        # Not numbers, and nesting without end, are refused while reading.
        found = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise Refusal(400, f"The body cannot be read as JSON: {error}.") from error
    if not isinstance(found, dict):
        raise Refusal(400, 'The body must be a JSON object, such as {"instances": [...]}.')
    for key in found:
        if key not in KEYS:
            raise Refusal(400, f"The body has an unknown key {shown(key)}{nearest(key, KEYS) or '.'}")
    return found


def _signature(asked: dict[str, Any], known: Sequence[str]) -> str | None:
    """The signature that is asked for; None: whichever fits."""
    name = asked.get("signature_name")
    if name is None or name == "":
        return None
    if not isinstance(name, str) or name not in known:
        raise Refusal(400, f"There is no signature {shown(name)}; there are {and_list(known)}.")
    return name


def _column(value: Any) -> Any:
    """The one column of `inputs`."""
    return _unnamed(value, "inputs")


def _unnamed(value: Any, where: str) -> Any:
    """A value without the name of its input."""
    if isinstance(value, dict) and set(value) != {B64}:
        if len(value) == 1 and (IMAGE in value or IMAGE_BYTES in value):
            return next(iter(value.values()))
        raise Refusal(
            400,
            f'{where} must be pixels, {{"{IMAGE}": pixels}}, {{"{B64}": …}} or '
            f'{{"{IMAGE_BYTES}": {{"{B64}": …}}}}.',
        )
    return value


def _content(value: Any, where: str) -> bytes:
    if not isinstance(value, dict) or not isinstance(value.get(B64), str):
        raise Refusal(400, f'{where} must be the bytes of an image file in base64, {{"{B64}": "…"}}.')
    try:
        return base64.b64decode(value[B64], validate=True)
    except (binascii.Error, ValueError) as error:  # the latter for characters that are not ASCII
        raise Refusal(400, f"{where} is not base64: {error}.") from error


def _pixels(values: list[Any], where: str, example_shape: tuple[int, ...], signature: str | None) -> Pixels:
    wanted = f"(N, {', '.join(map(str, example_shape))})"
    rows = values
    for depth, size in enumerate(example_shape, 1):
        if not set(map(type, rows)) <= {list}:
            raise Refusal(400, f"{where!r} must be nested lists of pixels of the shape {wanted}.")
        found = set(map(len, rows))
        if found != {size}:
            ragged = f"lists of {and_list([f'{one:,}' for one in sorted(found)[:3]])} values"
            raise Refusal(400, f"{where!r} has {ragged} at depth {depth}; the shape must be {wanted}.")
        rows = list(chain.from_iterable(rows))
    kinds = set(map(type, rows))
    if not kinds <= {int, float}:
        raise Refusal(
            400, f"{where!r} has pixels that are not numbers; the model takes numbers from 0 to 255."
        )
    if float in kinds and signature and FROM_PIXELS[signature] in WHOLE and not all(map(_is_whole, rows)):
        raise Refusal(400, f"The signature {signature} takes whole numbers; {where!r} has others.")
    try:
        pixels = np.array(rows, np.float64)
    except OverflowError:
        pixels = np.array([np.inf])
    low, high = pixels.min(), pixels.max()
    if low < 0 or high > 255:
        raise Refusal(
            400, f"{where!r} has pixels from {low:g} to {high:g}; the model takes raw ones, from 0 to 255."
        )
    return pixels.astype(np.float32).reshape(len(values), *example_shape)


def _is_whole(value: float) -> bool:
    return isinstance(value, int) or value.is_integer()
