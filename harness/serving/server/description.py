"""What the OpenAPI description says of bodies and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from harness.serving.server.rest import B64, FROM_FILES, signatures_for
from harness.serving.server.uploads import FIELD, FORM


class ErrorAnswer(BaseModel):
    """What went wrong."""

    error: str


class Prediction(BaseModel):
    """What the model says of an image, or of a clip."""

    probabilities: list[float]
    class_index: int
    class_: str = Field(alias="class")


class Outputs(BaseModel):
    """The same of all of them, by columns."""

    probabilities: list[list[float]]
    class_index: list[int]
    class_: list[str] = Field(alias="class")


class PredictAnswer(BaseModel):
    """`predictions` for `instances`, `outputs` for `inputs`."""

    predictions: list[Prediction] | None = None
    outputs: Outputs | None = None


class UploadAnswer(BaseModel):
    """What the model says of each file."""

    classes: list[str]
    predictions: list[Prediction]


class Anything(BaseModel, extra="allow"):
    """As TensorFlow Serving has it."""


class Health(BaseModel):
    """How the server is."""

    status: str


REFUSALS = {
    400: "The body is not what is expected; the sentence says where.",
    401: "The token is missing or wrong.",
    403: "The server was called by a name it does not know, or by another page.",
    408: "The body took too long.",
    413: "The body is too large.",
    415: "The body is neither a form nor a file that the model classifies.",
    429: "The server has too much to do; ask again after the seconds in Retry-After.",
    503: "The model cannot answer.",
}


def responses(answer: type[BaseModel], *more: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a path.

    Args:
        answer: the one with status 200.
        more: the statuses of refusals, beside those that any path may have.
    """
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": REFUSALS[status]} for status in (401, 403, *more)
    }
    return {200: {"model": answer}, **refusals}


def predict_body(example_shape: tuple[int, ...], most_images: int) -> dict[str, Any]:
    """What `:predict` takes, for FastAPI's `openapi_extra`.

    Args:
        example_shape: height, width, channels of an image; of a clip, before them the frames.
        most_images: that are taken at once.
    """
    known = signatures_for(example_shape)
    pixels: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 255}
    for size in reversed(example_shape):
        pixels = {"type": "array", "minItems": size, "maxItems": size, "items": pixels}
    content = {
        "type": "object",
        "required": [B64],
        "properties": {B64: {"type": "string", "contentEncoding": "base64"}},
        "additionalProperties": False,
    }
    images = {
        "anyOf": [
            {"type": "array", "minItems": 1, "maxItems": most_images, "items": item}
            for item in ((pixels, content) if FROM_FILES in known else (pixels,))
        ]
    }
    signature = {"enum": [*known, "", None]}  # the last two: whichever fits
    forms = [
        {
            "type": "object",
            "required": [key],
            "properties": {key: images, "signature_name": signature},
            "additionalProperties": False,
        }
        for key in ("instances", "inputs")
    ]
    return _body({"application/json": {"schema": {"anyOf": forms}}})


def upload_body(media: Sequence[str]) -> dict[str, Any]:
    """What `/predict` takes, for FastAPI's `openapi_extra`; `media` as of `read_uploads`."""
    file = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "required": [FIELD],
        "properties": {FIELD: {"type": "array", "minItems": 1, "items": file}},
        "additionalProperties": False,
    }
    return _body({FORM: {"schema": form}} | {f"{one}/*": {"schema": file} for one in media})


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}
