"""The OpenAPI document as one HTML page for people, without a script and without a request to another site."""

from __future__ import annotations

from html import escape
from typing import Any

HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>edgefs live: API</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/static/style.css">
<link rel="icon" href="/static/icon.svg"><main class="document">"""


def page_of(document: dict[str, Any]) -> str:
    """Return an OpenAPI document as HTML."""
    info = document["info"]
    parts = [HEAD, f"<h1>{escape(info['title'])}</h1>"]
    parts += [f"<p>{escape(paragraph)}</p>" for paragraph in info["description"].split("\n\n")]
    parts.append('<p><a href="/openapi.json">openapi.json</a></p>')
    for path, operations in document["paths"].items():
        parts += [_operation(method, path, operation) for method, operation in operations.items()]
    parts.append("<h2>Schemas</h2>")
    parts += [_schema(name, schema) for name, schema in document["components"]["schemas"].items()]
    return "\n".join([*parts, "</main></html>"])


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    takes = [f"{p['name']} ({p['in']})" for p in operation.get("parameters", [])]
    takes += _contents(operation.get("requestBody", {}))
    rows = [("takes", ", ".join(takes) or "nothing"), ("gives", ", ".join(_contents(operation["responses"]["200"])))]
    rows += [(code, answer["description"]) for code, answer in operation["responses"].items() if code != "200"]
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
    title = f"<code>{method.upper()} {escape(path)}</code> {escape(operation['summary'])}"
    return f"<details><summary>{title}</summary><dl>{lines}</dl></details>"


def _contents(holder: dict[str, Any]) -> list[str]:
    return [_type(c["schema"]) if "schema" in c else kind for kind, c in holder.get("content", {}).items()]


def _schema(name: str, schema: dict[str, Any]) -> str:
    fields = "".join(
        f"<dt>{escape(field)}</dt><dd>{escape(_type(kind))}</dd>"
        for field, kind in schema.get("properties", {}).items()
    )
    description = escape(schema.get("description", ""))
    return f"<details><summary><code>{escape(name)}</code></summary><p>{description}</p><dl>{fields}</dl></details>"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    return str(schema.get("type", "anything"))
