"""The OpenAPI 3.1 document, made from the routes and the messages."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from runtime.app.core import messages
from runtime.app.web.guard import Policy
from runtime.app.web.routes import MAX_ID, Route

DESCRIPTION = """Bodies are JSON unless stated otherwise, and errors are `{"error": {"type", "message"}}`.
Labels never appear in paths. When other machines can connect, everything but `/`, `/static`, `/healthz` and `login`
needs the access token, as `Authorization: Bearer` or as the cookie that `login` sets. The token of a viewer is refused
with status 403 and the type `TeacherNeeded` by all but GET, and by the WebSocket `cameras/{camera}/frames`.

`GET /api/v1/events` is a WebSocket. Its messages are the schemas `Hello` (first), `State`, `Answer`, `Teach` and
`Camera`, distinguished by `type`."""
LABEL = {"type": "string", "minLength": 1, "maxLength": 100, "pattern": messages.LABEL_PATTERN}
ERRORS = {
    400: "not JSON, or a broken form",
    401: "the access token is missing or wrong",
    403: "the request comes from a page of another site, or a viewer may not do this",
    404: "not found, or no longer there",
    409: "not possible in the present state",
    413: "the body is too large",
    415: "the body has another type",
    421: "the Host is not this server",
    422: "the request does not fit the route",
    429: "too many viewers, or too many failed logins",
    503: "too many uploads at once",
    507: "the disk refuses to write",
}


def document(routes: tuple[Route, ...], policy: Policy, version: str) -> dict[str, Any]:
    """Return the document.

    Args:
        routes: All routes.
        policy: Tells whether a token is needed.
        version: The version of the API.
    """
    types = [messages.Error, messages.Event]
    types += [
        kind for route in routes for kind in (route.takes, route.gives) if kind and not isinstance(kind, (str, tuple))
    ]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = {str(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = re.sub(r":int\}", "}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schema_of, policy)
    security = {"bearer": {"type": "http", "scheme": "bearer"}}
    security["cookie"] = {"type": "apiKey", "in": "cookie", "name": policy.cookie}
    return {
        "openapi": "3.1.0",
        "info": {"title": "edgefs live", "version": version, "description": DESCRIPTION},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": security},
    }


def _operation(route: Route, schema_of: dict[str, Any], policy: Policy) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}_{route.path.removeprefix('/api/v1')}").strip("_"),
        "tags": [_tag(route.path)],
        "responses": {"200": _answer(route, schema_of)},
    }
    parameters = [_in_path(name) for name in re.findall(r"\{(\w+)", route.path)]
    parameters += [{"name": name, "in": "query", "required": True, "schema": LABEL} for name in route.query]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": schema} for name, schema in route.filters.items()
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.takes:
        operation["requestBody"] = {"required": True, "content": _content(route.takes, schema_of)}
    error = {"application/json": {"schema": schema_of[str(messages.Error)]}}
    for status in _refusals(route, policy):
        operation["responses"][str(status)] = {"description": ERRORS[status], "content": error}
    if policy.users and not route.open:
        operation["security"] = [{"bearer": []}, {"cookie": []}]
    return operation


def _refusals(route: Route, policy: Policy) -> list[int]:
    statuses = {403, 421, *route.refuses}
    if route.takes:
        statuses |= {413, 415, 422, 503}
        statuses |= {400} if not isinstance(route.takes, tuple) or "multipart/form-data" in route.takes else set()
    if route.query or route.filters:
        statuses.add(422)
    if policy.users and not route.open:
        statuses.add(401)
    return sorted(statuses)


def _in_path(name: str) -> dict[str, Any]:
    schema = (
        {"type": "integer", "minimum": 0, "maximum": MAX_ID} if name == "id" else {"type": "string", "minLength": 1}
    )
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _answer(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    content = _content((route.gives,) if isinstance(route.gives, str) else route.gives, schema_of)
    return {"description": route.summary, "content": content}


def _content(kind: Any, schema_of: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(kind, tuple):
        return {"application/json": {"schema": schema_of[str(kind)]}}
    content: dict[str, Any] = {name: {} for name in kind}
    if "multipart/form-data" in content:
        pictures = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
        form = {"type": "object", "required": ["pictures"], "properties": {"pictures": pictures}}
        content["multipart/form-data"] = {"schema": form | {"additionalProperties": False}}
    return content


def _tag(path: str) -> str:
    return path.removeprefix("/api/v1").strip("/").partition("/")[0] or "page"
