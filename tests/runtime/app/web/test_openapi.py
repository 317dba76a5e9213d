"""The document is whole, and requests made from it, sensible and not, never break the server (Schemathesis)."""

from __future__ import annotations

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from runtime.app.web.api import ROUTES

OPERATIONS = [
    (route.method, route.path.replace(":int}", "}")) for route in ROUTES if not route.path.endswith("/preview")
]  # but the preview of a camera, which never ends
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def document(shared_live) -> dict:
    return shared_live.http.get("/openapi.json").json()


@pytest.fixture(scope="module")
def schema(shared_live, document):
    loaded = schemathesis.openapi.from_dict({k: v for k, v in document.items() if k != "servers"})
    loaded.config.update(base_url=f"http://127.0.0.1:{shared_live.port}")
    return loaded


def test_every_route_is_in_the_document_and_nothing_else_is(document):
    declared = {(route.method.lower(), route.path.replace(":int}", "}")) for route in ROUTES}
    assert {(method, path) for path, operations in document["paths"].items() for method in operations} == declared
    assert "/api/v1/events" in document["info"]["description"]
    json.dumps(document)


def test_every_operation_is_named_once(document):
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("examples", [10, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_breaks_the_server_and_every_answer_is_as_documented(schema, method, path, examples):
    operation = schema[path][method]
    made = strategies.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=made)
    def ask(case):
        case.call_and_validate(checks=CHECKS, timeout=10)

    ask()
