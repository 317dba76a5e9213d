"""What the device responds: each type has a docstring, which is in the API document."""

from __future__ import annotations

import inspect

import msgspec
import pytest

from runtime.app.core.messages import Explained, Recognized, responses

TYPES = [kind for _, kind in inspect.getmembers(responses, inspect.isclass) if issubclass(kind, msgspec.Struct)]


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind is not msgspec.Struct], ids=lambda kind: kind.__name__)
def test_the_document_describes_every_response(kind):
    (schema,), components = msgspec.json.schema_components([kind], ref_template="{name}")
    assert components[schema["$ref"]]["description"].endswith(".")


def test_a_reason_is_an_answer_with_more():
    assert set(Recognized.__struct_fields__) < set(Explained.__struct_fields__)
