"""The OpenAPI description as a page, which loads nothing from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2


def docs_page(description: dict[str, Any]) -> bytes:
    """The page.

    Args:
        description: as `/openapi.json` has it.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    operations = [
        {
            "method": method.upper(),
            "path": path,
            "summary": operation["summary"],
            "bodies": _schemas(operation.get("requestBody", {})),
            "answers": [
                {"status": status, "about": answer["description"], "schemas": _schemas(answer)}
                for status, answer in operation["responses"].items()
            ],
        }
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    models = {name: _text(schema) for name, schema in description["components"]["schemas"].items()}
    template = environment.get_template("docs.html.jinja")
    return template.render(info=description["info"], operations=operations, models=models).encode()


def _schemas(described: dict[str, Any]) -> dict[str, str]:
    """By media type, the schemas of a body."""
    return {kind: _text(content["schema"]) for kind, content in described.get("content", {}).items()}


def _text(schema: dict[str, Any]) -> str:
    """A schema to read; the name alone where it is one of the models."""
    if set(schema) == {"$ref"}:
        return str(schema["$ref"]).rpartition("/")[2]
    return json.dumps(schema, indent=1)
