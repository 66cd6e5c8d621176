"""`harness ui`."""

from __future__ import annotations

from typing import Annotated

import typer


def ui(
    host: Annotated[str, typer.Option(help="The address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 5000,
) -> None:
    """Browse runs, metrics and models in MLflow, on the store that sweeps here write to."""
    from harness.paths import tracking_uri
    from harness.tracking.ui import serve_ui

    serve_ui(tracking_uri(), host=host, port=port, ready=typer.echo)
