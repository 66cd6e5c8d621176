"""Whatever is sent, the answer is a status that says whose fault it was, and a sentence."""

from __future__ import annotations

import json
import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.serving.server.client import BOUNDARY, Server, form, in_base64, noisy, png, read_reply
from tests.serving.server.conftest import BODY_BYTES

pytestmark = pytest.mark.slow

GOOD = png(noisy(0))
PIXELS = np.zeros((12, 16, 3), int).tolist()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(side: int = 60_000) -> bytes:
    """Some hundred bytes that claim to be a picture of side × side."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", head)
        + png_chunk(b"IDAT", zlib.compress(bytes(99)))
        + png_chunk(b"IEND", b"")
    )


GIF_BOMB = (
    b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    + b"," + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\x02\x44\x01\x00;"
)  # fmt: skip
BAD_FILES = {
    "empty": (b"", "empty"),
    "text": (b"This is no picture.", "none of JPEG, PNG"),
    "cut off": (png(noisy(0, (200, 200)))[:5000], "damaged"),
    "bomb": (bomb(), "pixels; at most"),
    "bomb within Pillow's limit": (bomb(8_000), "64,000,000 pixels; at most 50,000,000"),
    "bomb in a frame": (GIF_BOMB, "read"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "none of JPEG, PNG"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_cannot_be_read(server: Server, name: str) -> None:
    content, words = BAD_FILES[name]
    for found, where in (
        (server.predict({"instances": [in_base64(GOOD), in_base64(content)]}), "instances[1]"),
        (server.predict({"inputs": [in_base64(content)]}), "inputs[0]"),
        (server.upload(("good.png", GOOD), ("bad.png", content)), "'bad.png'"),
        (server.ask("POST", "/predict", content, {"content-type": "image/png"}), "file 1"),
    ):
        assert found.status == 400, found
        assert found.error.startswith(f"{where}: The image cannot be read")
        assert words in found.error


def ragged(change: Any) -> Any:
    pixels = np.zeros((12, 16, 3), int).tolist()
    change(pixels)
    return {"instances": [PIXELS, pixels]}


BAD_BODIES: dict[str, tuple[Any, str]] = {
    "empty": (b"", "cannot be read as JSON"),
    "not JSON": (b"instances=1", "cannot be read as JSON"),
    "cut off": (b'{"instances": [', "cannot be read as JSON"),
    "not UTF-8": (b'{"instances": ["\xff"]}', "cannot be read as JSON"),
    "NaN": (b'{"instances": [[[[NaN]]]]}', "cannot be read as JSON"),
    "infinity": (b'{"instances": [[[[-Infinity]]]]}', "cannot be read as JSON"),
    "a number without end": (b'{"instances": [' + b"9" * 10_000 + b"]}", ""),
    "nested": (b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "cannot be read as JSON"),
    "nested in objects": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "cannot be read as JSON"),
    "a list": ([1], "must be a JSON object"),
    "a number": (b"3", "must be a JSON object"),
    "nothing": (b"null", "must be a JSON object"),
    "no key": ({}, "one of 'instances' and 'inputs'"),
    "both keys": ({"instances": [PIXELS], "inputs": [PIXELS]}, "one of 'instances' and 'inputs'"),
    "a wrong key": ({"instance": [PIXELS]}, "unknown key 'instance'; did you mean instances?"),
    "no images": ({"instances": []}, "at least one"),
    "an object": ({"instances": {"0": PIXELS}}, "must be a list"),
    "not a list": ({"instances": "all"}, "must be a list"),
    "a wrong signature": ({"signature_name": "serve", "instances": [PIXELS]}, "no signature 'serve'"),
    "no signature": ({"signature_name": 3, "instances": [PIXELS]}, "no signature 3"),
    "bytes for pixels": (
        {"signature_name": "serving_default", "instances": [in_base64(GOOD)]},
        "must be nested lists of pixels",
    ),
    "pixels for bytes": ({"signature_name": "serving_bytes", "instances": [PIXELS]}, "in base64"),
    "halves for whole numbers": (
        {"signature_name": "serving_uint8", "instances": (np.zeros((1, 12, 16, 3)) + 0.5).tolist()},
        "takes whole numbers",
    ),
    "a wrong name": ({"instances": [{"picture": PIXELS}]}, "instances[0] must be pixels"),
    "two names": ({"instances": [{"image": PIXELS, "b64": ""}]}, "instances[0] must be pixels"),
    "not base64": ({"instances": [in_base64(GOOD), {"b64": "§§"}]}, "instances[1] is not base64"),
    "base64 of another kind": ({"instances": [{"b64": "_-8="}]}, "instances[0] is not base64"),
    "b64 is no text": ({"instances": [{"b64": 3}]}, "in base64"),
    "text": ({"instances": ["text"]}, "in base64"),
    "mixed": ({"instances": [in_base64(GOOD), PIXELS]}, "instances[1] must be the bytes"),
    "mixed the other way": ({"instances": [PIXELS, in_base64(GOOD)]}, "nested lists"),
    "one picture, not a list of them": ({"instances": PIXELS}, "lists of 16 values at depth 1"),
    "another size": ({"instances": np.zeros((1, 8, 8, 1), int).tolist()}, "shape must be (N, 12, 16, 3)"),
    "another depth": ({"instances": np.zeros((1, 12, 16), int).tolist()}, "nested lists"),
    "too deep": ({"instances": np.zeros((1, 12, 16, 3, 1), int).tolist()}, "not numbers"),
    "ragged rows": (ragged(lambda pixels: pixels.pop()), "lists of 11 and 12 values at depth 1"),
    "ragged columns": (ragged(lambda pixels: pixels[3].pop()), "lists of 15 and 16 values at depth 2"),
    "ragged channels": (ragged(lambda pixels: pixels[3][4].append(0)), "lists of 3 and 4 values at depth 3"),
    "text among pixels": (ragged(lambda pixels: pixels[3][4].__setitem__(1, "7")), "not numbers"),
    "true among pixels": (ragged(lambda pixels: pixels[3][4].__setitem__(1, True)), "not numbers"),
    "null among pixels": (ragged(lambda pixels: pixels[3][4].__setitem__(1, None)), "not numbers"),
    "a list among pixels": (ragged(lambda pixels: pixels[3][4].__setitem__(1, [1])), "not numbers"),
    "negative": (ragged(lambda pixels: pixels[3][4].__setitem__(1, -1)), "pixels from -1 to 0"),
    "too bright": (ragged(lambda pixels: pixels[3][4].__setitem__(1, 256)), "pixels from 0 to 256"),
    "huge": (ragged(lambda pixels: pixels[3][4].__setitem__(1, 10**400)), ""),
    "beyond floats": (b'{"instances": [' + json.dumps(PIXELS).replace("0", "1e999", 1).encode() + b"]}", ""),
    "beyond whole numbers": (
        b'{"signature_name": "serving_int64", "instances": ['
        + json.dumps(PIXELS).replace("0", "1e999", 1).encode() + b"]}",
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bodies_that_are_not_understood(server: Server, name: str) -> None:
    body, words = BAD_BODIES[name]
    found = server.predict(body)
    assert found.status == 400, found
    assert words in found.error
    assert len(found.error) < 1000


def test_too_many_images(server: Server) -> None:
    found = server.predict({"instances": [in_base64(b"")] * 129})
    assert found.status == 400
    assert "129 images; at most 128" in found.error
    found = server.upload(*[("a.png", b"")] * 129)
    assert found.status == 400
    assert "more than 128 files" in found.error


FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
BAD_FORMS = {
    "empty": (b"", FORM_TYPE, 400, "cut off"),
    "no parts": (form(), FORM_TYPE, 400, ""),
    "cut off": (form(("a.png", GOOD))[:-30], FORM_TYPE, 400, "cut off"),
    "another boundary": (form(("a.png", GOOD)), "multipart/form-data; boundary=other", 400, "cannot be read"),
    "no boundary": (form(("a.png", GOOD)), "multipart/form-data", 400, ""),
    "a long boundary": (
        form(("a.png", GOOD)), "multipart/form-data; boundary=" + "b" * 999, 400, "cannot be read"
    ),
    "another field": (
        form(("a.png", GOOD), field='name="image"'), FORM_TYPE, 400, "a field 'image'; only 'file'"
    ),
    "many headers": (
        form(("a.png", GOOD)).replace(b"Content-D", b"X: y\r\n" * 99 + b"Content-D"),
        FORM_TYPE,
        400,
        "cannot be read",
    ),
    "a long header": (form(("a" * 9999, GOOD)), FORM_TYPE, 400, "cannot be read"),
    "JSON": (b"{}", "application/json", 415, "this is 'application/json'"),
    "no type": (GOOD, "", 415, "Send a form"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FORMS)
def test_forms_that_are_not_understood(server: Server, name: str) -> None:
    body, kind, status, words = BAD_FORMS[name]
    found = server.ask("POST", "/predict", body, {"content-type": kind})
    assert found.status == status, found
    assert words in found.error


def test_a_body_that_claims_a_gigabyte_is_not_waited_for(server: Server) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n"
    for more in (b"\r\n", b"expect: 100-continue\r\n\r\n", b"content-type: image/png\r\n\r\n" + bytes(5000)):
        found = server.send(head + more)
        assert found.status == 413
        assert f"larger than {BODY_BYTES:,} bytes" in found.error
        assert found.headers["connection"] == "close"


def test_a_body_without_a_length_is_cut_off_where_it_is_too_large(server: Server) -> None:
    with socket.create_connection(server.address, timeout=60) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        for _ in range(BODY_BYTES // 0x10000 + 5):
            connection.sendall(chunk)
        found = read_reply(connection)
    assert found.status == 413
    assert server.metric("harness_serve_held_bytes") == 0


def test_a_body_at_the_limit_is_taken_and_one_byte_more_is_not(server: Server) -> None:
    kind = {"content-type": "image/png"}
    assert server.ask("POST", "/predict", GOOD + bytes(BODY_BYTES - len(GOOD)), kind).status == 200
    assert server.ask("POST", "/predict", GOOD + bytes(BODY_BYTES - len(GOOD) + 1), kind).status == 413


def test_slow_senders_are_not_waited_for(server: Server) -> None:
    """While they dawdle, others are answered."""
    head = (
        b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: 500\r\n\r\n"
    )
    slow = [socket.create_connection(server.address, timeout=60) for _ in range(50)]
    for number, connection in enumerate(slow):
        connection.sendall([head + b"a", head, head[:40], b"", b"GET /"][number % 5])
    assert server.predict({"instances": [PIXELS]}).status == 200
    for number, connection in enumerate(slow):
        if number % 5 < 2:
            found = read_reply(connection)
            assert found.status == 408
            assert "not there after 2 seconds" in found.error
        assert connection.recv(1) == b""
        connection.close()


def test_a_slow_second_request_is_not_waited_for_either(server: Server) -> None:
    with socket.create_connection(server.address, timeout=60) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert read_reply(connection).status == 200
        connection.sendall(b"GET /heal")
        assert connection.recv(1) == b""


def test_a_body_that_nobody_asked_for_is_not_taken_for_ever(server: Server) -> None:
    with socket.create_connection(server.address, timeout=60) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n")
        assert read_reply(connection).status == 200
        until = time.monotonic() + 60
        with pytest.raises(OSError, match=r"."):
            while time.monotonic() < until:
                connection.sendall(bytes(1000))
                time.sleep(0.05)


def test_clients_that_leave_are_forgotten(server: Server) -> None:
    for sent in (b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 500\r\n\r\na", b"GET", b""):
        socket.create_connection(server.address).close()
        with socket.create_connection(server.address) as connection:
            connection.sendall(sent)
    assert server.predict({"instances": [PIXELS]}).status == 200


@pytest.mark.parametrize(
    "content",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n",
     b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
     b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
     b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000 + b"\r\n\r\n",
     b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"],
    ids=["TLS", "no host", "nonsense", "two hosts", "negative length", "a long header", "two lengths"],
)  # fmt: skip
def test_what_is_not_http(server: Server, content: bytes) -> None:
    assert server.send(content + b"\r\n\r\n").status == 400


def test_paths_and_methods_that_are_not_served(server: Server) -> None:
    for path in (
        "/nothing",
        "/v1/models/other",
        "/v1/models/model/versions/2",
        "/redoc",
        "/../../etc/passwd",
        "/%00",
    ):
        found = server.get(path)
        assert found.status == 404
        assert "/v1/models/model" in found.error
        assert "default-src 'none'" in found.headers["content-security-policy"]
    for path in ("/v1/models/other:predict", "/v1/models/model:classify"):
        assert server.ask("POST", path, b"{}").status == 404
    for method, path, allowed in (
        ("GET", "/predict", "POST"), ("DELETE", "/v1/models/model", "GET"), ("POST", "/health", "GET"),
        ("OPTIONS", "/v1/models/model:predict", "POST"), ("TRACE", "/", "GET"), ("SPAM", "/", "GET"),
    ):  # fmt: skip
        found = server.ask(method, path)
        assert found.status == 405
        assert found.headers["allow"] == allowed
        assert "does not take" in found.error


def test_names_that_the_server_does_not_know(server: Server) -> None:
    """A page elsewhere can have its own name lead here, but not call another one."""
    port = server.address[1]
    for host in (
        "127.0.0.1",
        "localhost",
        f"localhost:{port}",
        "LOCALHOST.",
        "[::1]:8501",
        "images.example",
        "10.0.0.7",
    ):
        assert server.get("/health", host=host).status == 200, host
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "[evil]",
    ):
        found = server.get("/health", host=host)
        assert found.status == 403, host
        assert "does not answer to the name" in found.error


def test_other_pages_may_not_ask(server: Server) -> None:
    host = f"localhost:{server.address[1]}"
    body = {"instances": [PIXELS]}
    assert server.predict(body, host=host, origin=f"http://{host}").status == 200
    for origin in ("http://evil.example", "null", "http://localhost:1", "file://", "https://[", ""):
        found = server.predict(body, host=host, origin=origin)
        assert found.status == 403, origin
        assert "may not ask" in found.error
    found = server.get("/health", origin="http://evil.example")
    assert found.status == 200
    assert "access-control-allow-origin" not in found.headers


def test_everything_at_once(server: Server) -> None:
    """Good and hostile requests side by side: each gets what it would get alone."""

    def ask(number: int) -> bool:
        if number % 3 == 0:
            return server.predict({"instances": [PIXELS]}).status == 200
        if number % 3 == 1:
            content, _ = list(BAD_FILES.values())[number % len(BAD_FILES)]
            return server.upload(("a.png", content)).status == 400
        body, _ = list(BAD_BODIES.values())[number % len(BAD_BODIES)]
        return server.predict(body).status == 400

    with ThreadPoolExecutor(32) as threads:
        assert all(threads.map(ask, range(150)))
    assert 'status="500"' not in server.get("/metrics").content.decode()
    assert server.metric("harness_serve_held_bytes") == 0
    assert server.metric("harness_serve_images") == 0
