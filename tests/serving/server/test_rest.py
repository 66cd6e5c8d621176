"""Reading a request never fails in another way than with a refusal, whatever there is in it."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.serving.server.access import host_name
from harness.serving.server.refusal import Refusal
from harness.serving.server.rest import PredictRequest, read_request
from harness.serving.server.uploads import read_uploads
from tests.serving.server.client import BOUNDARY, form

SHAPE = (2, 3, 1)
PIXEL = st.integers(0, 255) | st.floats(0, 255)
IMAGE = st.lists(
    st.lists(st.lists(PIXEL, min_size=1, max_size=1), min_size=3, max_size=3), min_size=2, max_size=2
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | PIXEL,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["b64", "image", "image_bytes", "x"]), inner, max_size=2)
    ),
    max_leaves=20,
)
ASKED = st.dictionaries(
    st.sampled_from(["instances", "inputs", "signature_name", "instance"]),
    ANYTHING
    | st.lists(IMAGE, max_size=3)
    | st.sampled_from(["serving_default", "serving_bytes", "serving_uint8"]),
    max_size=3,
)


def read(body: bytes) -> PredictRequest | Refusal:
    try:
        return read_request(body, SHAPE, most_images=3)
    except Refusal as refusal:
        assert refusal.status in (400, 413)
        assert refusal.sentence.endswith((".", "?"))
        return refusal


@given(asked=ASKED)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_asked(asked: Any) -> None:
    read(json.dumps(asked).encode())


@given(body=st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_whatever_the_bytes_are(body: bytes) -> None:
    assert isinstance(read(body), Refusal)


@given(images=st.lists(IMAGE, min_size=1, max_size=3), by_column=st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_pixels_are_what_was_sent(images: Any, *, by_column: bool) -> None:
    found = read(json.dumps({"inputs" if by_column else "instances": images}).encode())
    assert isinstance(found, PredictRequest)
    assert found.by_column == by_column
    assert isinstance(found.images, np.ndarray)
    assert found.images.dtype == np.float32
    np.testing.assert_array_equal(found.images, np.array(images, np.float32))


@settings(deadline=None)
@given(contents=st.lists(st.binary(max_size=20), min_size=1, max_size=3))
def test_bytes_are_what_was_sent(contents: list[bytes]) -> None:
    instances = [{"b64": base64.b64encode(content).decode()} for content in contents]
    found = read(json.dumps({"instances": instances}).encode())
    assert isinstance(found, PredictRequest)
    assert found.images == tuple(contents)


@settings(deadline=None)
@given(
    contents=st.lists(
        st.tuples(st.text("abcé .", min_size=1), st.binary(max_size=200)), min_size=1, max_size=3
    )
)
def test_files_of_a_form_are_what_was_sent(contents: list[tuple[str, bytes]]) -> None:
    body = form(*contents)
    found = read_uploads(body, f"multipart/form-data; boundary={BOUNDARY}", 3)
    assert [(one.name, one.content) for one in found] == contents


@given(body=st.binary(max_size=100), cut=st.integers(0, 300), kind=st.text(max_size=20))
@settings(max_examples=300, deadline=None)
def test_whatever_form_is_sent(body: bytes, cut: int, kind: str) -> None:
    whole = form(("a.png", body))[:cut] + body
    for content_type in (
        f"multipart/form-data; boundary={BOUNDARY}",
        kind.encode("latin-1", "replace").decode("latin-1"),
    ):
        try:
            read_uploads(whole, content_type, 3)
        except Refusal as refusal:
            assert refusal.status in (400, 413, 415)


def test_names_in_host_headers() -> None:
    texts = ("A.b:80", "[::1]:80", "[::1]", "a.", "127.0.0.1", "", ":80", "a:b:c")
    assert [host_name(text) for text in texts] == [
        "a.b", "::1", "::1", "a", "127.0.0.1", "", "", "a:b"
    ]  # fmt: skip
