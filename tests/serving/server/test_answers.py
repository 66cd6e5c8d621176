"""A server's answers are those of the model, in TensorFlow Serving's form."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.serving.predictor import Predictor
from tests.serving.conftest import CLASSES, COLOURS, paint
from tests.serving.server.client import BOUNDARY, Server, form, in_base64, noisy, png

pytestmark = pytest.mark.slow

FILES = [png(noisy(seed)) for seed in range(5)]


def expected(model: Predictor, files: list[bytes] = FILES) -> Any:
    return model.predict(np.stack([model.prepare(content) for content in files]))


def check(rows: list[dict[str, Any]], wanted: Any) -> None:
    assert len(rows) == len(wanted)
    for row, probabilities in zip(rows, wanted, strict=True):
        np.testing.assert_allclose(row["probabilities"], probabilities, atol=1e-6)
        assert row["class_index"] == int(np.argmax(row["probabilities"]))
        assert row["class"] == CLASSES[row["class_index"]]


def as_rows(outputs: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(outputs, values, strict=True)) for values in zip(*outputs.values(), strict=True)]


@pytest.mark.parametrize("signature", [{}, {"signature_name": "serving_bytes"}, {"signature_name": ""}])
def test_image_files_in_base64(server: Server, model: Predictor, signature: dict[str, str]) -> None:
    found = server.predict(signature | {"instances": [in_base64(one) for one in FILES]})
    assert found.status == 200, found
    assert found.headers["content-type"] == "application/json"
    assert set(found.json) == {"predictions"}
    check(found.json["predictions"], expected(model))


@pytest.mark.parametrize(
    "name", ["serving_default", "serving_uint8", "serving_int64", "serving_float64", None]
)
def test_pixels(server: Server, model: Predictor, name: str | None) -> None:
    pixels = [model.prepare(content).tolist() for content in FILES]
    found = server.predict(({"signature_name": name} if name else {}) | {"instances": pixels})
    check(found.json["predictions"], expected(model))


def test_pixels_need_not_be_whole_numbers(server: Server, model: Predictor) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 12, 16, 3)).astype(np.float32)
    found = server.predict({"instances": pixels.tolist()})
    check(found.json["predictions"], np.asarray(model.network(pixels)))


def test_by_columns_and_by_the_names_of_inputs(server: Server, model: Predictor) -> None:
    contents, wanted = [in_base64(one) for one in FILES], expected(model)
    pixels = [model.prepare(content).tolist() for content in FILES]
    for inputs in (contents, pixels, {"image_bytes": contents}, {"image": pixels}):
        found = server.predict({"inputs": inputs})
        assert set(found.json) == {"outputs"}
        check(as_rows(found.json["outputs"]), wanted)
    check(server.predict({"instances": [{"image": one} for one in pixels]}).json["predictions"], wanted)
    check(
        server.predict({"instances": [{"image_bytes": one} for one in contents]}).json["predictions"], wanted
    )


def test_the_content_type_does_not_matter_to_predict(server: Server) -> None:
    """curl sends that of a form unless it is told otherwise, as in TensorFlow's guide."""
    body = json.dumps({"instances": [in_base64(FILES[0])]}).encode()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert server.ask("POST", "/v1/models/model/versions/1:predict", body, kind).status == 200


def test_uploads(server: Server, model: Predictor, tmp_path: Path) -> None:
    paths = [paint(tmp_path / f"ein Bild, {colour}.jpg", colour) for colour in COLOURS]
    files = [(path.name, path.read_bytes()) for path in paths]
    found = server.upload(*files).json
    assert found["classes"] == list(CLASSES)
    assert [row["file"] for row in found["predictions"]] == [name for name, _ in files]
    assert [row["class"] for row in found["predictions"]] == list(COLOURS)
    check(found["predictions"], expected(model, [content for _, content in files]))
    alone = server.ask("POST", "/predict", files[0][1], {"content-type": "image/jpeg"}).json
    check(alone["predictions"], expected(model, [files[0][1]]))


def test_everybody_gets_the_own_answer(server: Server, model: Predictor) -> None:
    """Requests of many sizes at once, which share batches and are spread over several."""
    sizes = [1, 2, 1, 40, 3, 1, 7, 33, 1, 1, 64, 5] * 4
    requests = [
        [png(noisy(100 * number + at, (6, 7))) for at in range(size)] for number, size in enumerate(sizes)
    ]

    def ask(files: list[bytes]) -> Any:
        return server.predict({"instances": [in_base64(one) for one in files]})

    batches = server.metric("harness_serve_batch_images_count")
    with ThreadPoolExecutor(16) as threads:
        for files, found in zip(requests, threads.map(ask, requests), strict=True):
            assert found.status == 200, found.content
            check(found.json["predictions"], expected(model, files))
    assert server.metric("harness_serve_batch_images_count") - batches < sum(sizes)
    assert server.metric("harness_serve_images") == 0
    assert server.metric("harness_serve_held_bytes") == 0


def test_what_tensorflow_serving_tells_of_a_model(server: Server) -> None:
    (version,) = server.get("/v1/models/model").json["model_version_status"]
    assert (version["version"], version["state"]) == ("1", "AVAILABLE")
    assert server.get("/v1/models/model/versions/1").json == server.get("/v1/models/model").json
    found = server.get("/v1/models/model/metadata").json
    assert found["model_spec"] == {"name": "model", "signature_name": "", "version": "1"}
    signatures = found["metadata"]["signature_def"]["signature_def"]
    shape = signatures["serving_default"]["inputs"]["image"]["tensor_shape"]["dim"]
    assert [size["size"] for size in shape] == ["-1", "12", "16", "3"]
    assert set(signatures["serving_bytes"]["inputs"]) == {"image_bytes"}
    assert found["bundle"]["classes"] == list(CLASSES)


def test_health_and_metrics(server: Server) -> None:
    assert server.get("/health/live").json == {"status": "live"}
    assert server.get("/health/ready").json == server.get("/health").json == {"status": "ready"}
    before = server.metric("harness_serve_requests_total")
    server.get("/no/such/path")
    assert server.metric("harness_serve_requests_total") >= before + 2
    text = server.get("/metrics").content.decode()
    assert 'path="other",status="404"' in text
    assert "/no/such/path" not in text
    assert server.metric("process_resident_memory_bytes") > 0


def test_the_page_needs_nothing_from_elsewhere(server: Server) -> None:
    page = server.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    texts = [
        page.content.decode(),
        *(server.get(path).content.decode() for path in ("/page.js", "/page.css")),
    ]
    assert not [
        text for text in texts if "http:" in text or "https:" in text or "//" in text.replace("// ", "")
    ]
    assert "<script>" not in texts[0]
    assert "style=" not in texts[0]
    assert not re.findall(r"\son\w+=", texts[0])


def test_the_description_is_served_and_has_every_path(server: Server) -> None:
    found = server.get("/openapi.json").json
    paths = found["paths"]
    for path in ("/v1/models/model", "/v1/models/model/metadata", "/health", "/metrics"):
        assert set(paths[path]) == {"get"}
    for path in ("/v1/models/model:predict", "/v1/models/model/versions/1:predict", "/predict"):
        assert "429" in paths[path]["post"]["responses"]
        assert "requestBody" in paths[path]["post"]
    page = server.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert [path for path in paths if path not in page.content.decode()] == []
    assert "<script" not in page.content.decode()


def test_a_form_in_pieces_of_any_size(server: Server) -> None:
    """A body without a length, in chunks that cut through boundaries."""
    body = form(("a.png", FILES[0]), ("b.png", FILES[1]))
    head = (
        "POST /predict HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n"
        f"content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    ).encode()
    pieces = [body[at : at + 37] for at in range(0, len(body), 37)]
    chunks = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)
    found = server.send(head + chunks + b"0\r\n\r\n")
    assert [row["file"] for row in found.json["predictions"]] == ["a.png", "b.png"]
