"""The paths of the server."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from string import Template
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from harness import __version__
from harness.messages import shown
from harness.serving.server.description import (
    Anything,
    Health,
    PredictAnswer,
    UploadAnswer,
    predict_body,
    responses,
    upload_body,
)
from harness.serving.server.docs_page import docs_page
from harness.serving.server.refusal import Refusal, as_error
from harness.serving.server.service import Service
from harness.serving.server.signatures import VERSION, metadata, status
from harness.serving.server.telemetry import CONTENT_TYPE, Telemetry
from harness.serving.server.uploads import MEDIA

HTML = "text/html; charset=utf-8"
PAGE = {
    "/": ("page.html", HTML),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
"""By path, the files in the folder `page` and their types."""
WORDS = {
    "image": {"thing": "picture", "accept": "image/*"},
    "clip": {"thing": "clip", "accept": "video/*,image/gif"},
}
"""By what the model classifies, what the page says in the places of these names."""
UPLOAD = "/predict"


def make_app(service: Service, name: str, described: dict[str, Any], telemetry: Telemetry) -> FastAPI:
    """The application behind the gate.

    Args:
        service: answers requests.
        name: the model's, in URLs.
        described: what the bundle says of its input.
        telemetry: what `/metrics` shows.
    """
    # No pages of FastAPI's own: they load scripts from elsewhere.
    app = FastAPI(
        title="harness serve",
        description=f"The {service.noun} classifier {name}. "
        "TensorFlow Serving's REST interface, and uploads.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    _add_page(app, service.noun)
    _add_health(app, service, telemetry)
    _add_model(app, service, name, described)
    _add_errors(app, name)
    _add_file(app, "/docs", docs_page(app.openapi()), HTML)
    return app


def paths_of(app: FastAPI) -> frozenset[str]:
    """The paths that there is something at."""
    return frozenset(path for route in app.routes if (path := getattr(route, "path", None)))


def _add_page(app: FastAPI, noun: str) -> None:
    folder = resources.files("harness.serving.server") / "page"
    for path, (file, kind) in PAGE.items():
        content = (folder / file).read_bytes()
        if kind == HTML:
            content = Template(content.decode()).substitute(WORDS[noun]).encode()
        _add_file(app, path, content, kind)


def _add_file(app: FastAPI, path: str, content: bytes, kind: str) -> None:
    async def page() -> Response:
        return Response(content, headers={"content-type": kind})

    app.add_api_route(path, page, methods=["GET"], include_in_schema=False)


def _add_health(app: FastAPI, service: Service, telemetry: Telemetry) -> None:
    async def live() -> Response:
        return _json({"status": "live"})

    async def ready() -> Response:
        if not service.batcher.is_running():
            raise Refusal(503, "The model is not running.")
        return _json({"status": "ready"})

    async def metrics() -> Response:
        return Response(telemetry.text(), headers={"content-type": CONTENT_TYPE})

    _get(app, "/health/live", live, "Whether the server answers.", responses(Health))
    for path in ("/health", "/health/ready"):
        _get(app, path, ready, "Whether the model runs.", responses(Health, 503))
    plain: dict[int | str, dict[str, Any]] = {
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
    }
    _get(app, "/metrics", metrics, "Metrics for Prometheus.", responses(Health) | plain)


def _add_model(app: FastAPI, service: Service, name: str, described: dict[str, Any]) -> None:
    predictor = service.predictor
    about = metadata(name, predictor.example_shape, predictor.classes, described)

    async def model_status() -> Response:
        return _json(status())

    async def model_metadata() -> Response:
        return _json(about)

    async def predict(request: Request) -> Response:
        return _json(await service.predict(await request.body()))

    async def upload(request: Request) -> Response:
        content_type = request.headers.get("content-type", "")
        return _json(await service.upload(await request.body(), content_type))

    refusals = (400, 408, 413, 429, 503)
    model = f"/v1/models/{name}"
    for path in (model, f"{model}/versions/{VERSION}"):
        _get(app, path, model_status, "The state of the model.", responses(Anything))
        _get(app, f"{path}/metadata", model_metadata, "Its signatures and classes.", responses(Anything))
        app.add_api_route(
            f"{path}:predict",
            predict,
            methods=["POST"],
            summary=f"Classify {service.noun}s.",
            response_model=None,
            responses=responses(PredictAnswer, *refusals),
            openapi_extra=predict_body(predictor.example_shape, service.limits.images),
        )
    app.add_api_route(
        UPLOAD,
        upload,
        methods=["POST"],
        summary=f"Classify files of {service.noun}s.",
        response_model=None,
        responses=responses(UploadAnswer, *refusals, 415),
        openapi_extra=upload_body(MEDIA[service.noun]),
    )


def _add_errors(app: FastAPI, name: str) -> None:
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return _json(as_error(error.sentence), error.status, error.headers)

    async def not_served(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        path = shown(request.scope["path"])
        if error.status_code == 405:
            sentence = f"{path} does not take {shown(request.method)}, only {headers.get('Allow', 'GET')}."
        else:
            sentence = f"There is nothing at {path}; the model is at /v1/models/{name}, the rest in /docs."
        return _json(as_error(sentence), error.status_code, headers)

    async def failed(_: Request, __: Exception) -> Response:
        return _json(as_error("The server failed at this request; its log says how."), 500)

    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(HTTPException, not_served)
    app.add_exception_handler(Exception, failed)


def _get(
    app: FastAPI,
    path: str,
    endpoint: Callable[..., Any],
    summary: str,
    answers: dict[int | str, dict[str, Any]],
) -> None:
    app.add_api_route(
        path, endpoint, methods=["GET"], summary=summary, response_model=None, responses=answers
    )


def _json(content: Any, status_code: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        # What is not a number is no JSON.
        to_json(content, inf_nan_mode="null"),
        status_code,
        headers={"content-type": "application/json", **(headers or {})},
    )
