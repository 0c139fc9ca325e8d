"""What is served, as the OpenAPI document has it: it is made of the route table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
#: Method and path to what the document says of it.
ROUTES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    **{(method.upper(), path): operation for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()},
    ("GET", "/openapi.json"): {"parameters": []}}


def body_of(operation: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Media type and schema of the body that it takes."""
    content = operation.get("requestBody", {}).get("content", {})
    return next(((kind, said.get("schema") or {}) for kind, said in content.items()), None)


def fields_of(schema: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Where a body has values, and what each may be: properties, elements of lists, and a name that nothing is said of."""
    yield path, schema
    properties: dict[str, Any] = {}
    for one in [*schema.get("anyOf", ()), schema]:
        properties |= one.get("properties", {})
    for name, inner in properties.items():
        yield from fields_of(inner, (*path, name))
    if isinstance(schema.get("items"), dict):
        yield from fields_of(schema["items"], (*path, 0))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from fields_of(schema["additionalProperties"], (*path, "some_name"))
    elif "object" in schema.get("type", "") and schema.get("additionalProperties", True) is True:
        yield (*path, "some_name"), {}
