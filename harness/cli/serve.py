"""`harness serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import ModelArgument


def serve(
    model: ModelArgument,
    host: Annotated[str, typer.Option(help="The address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: a free one.")] = 8501,
    name: Annotated[str, typer.Option(help="The model's name in URLs.")] = "model",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="A further name that the server may be called by, such as a proxy's; may be repeated.",
        ),
    ] = None,
    requests: Annotated[
        int, typer.Option(min=1, max=100_000, help="Requests that are answered at once; more get status 429.")
    ] = 256,
    max_body: Annotated[
        float, typer.Option(min=0.001, max=1024, metavar="MB", help="The largest body of a request.")
    ] = 16.0,
    batch_wait: Annotated[
        float,
        typer.Option(
            min=0,
            max=1000,
            metavar="MS",
            help="How long images wait for others to go with them to the model.",
        ),
    ] = 2.0,
) -> None:
    """Serve a model over HTTP: TensorFlow Serving's REST interface, uploads, and a page to drop pictures on.

    The URL is printed once the server answers. With a token in HARNESS_SERVE_TOKEN, requests must send it.
    """
    from harness.serving.server.limits import MEBIBYTE, Limits
    from harness.serving.server.running import ServerSettings, serve_bundle

    body_bytes = int(max_body * MEBIBYTE)
    settings = ServerSettings(
        model=model,
        host=host,
        port=port,
        name=name,
        allowed_hosts=tuple(allow_host or []),
        batch_wait=batch_wait / 1000,
        limits=Limits(
            body_bytes=body_bytes, held_bytes=max(Limits().held_bytes, 2 * body_bytes), requests=requests
        ),
    )
    serve_bundle(
        settings, ready=lambda url: print(url, flush=True), tell=lambda text: typer.echo(text, err=True)
    )
