"""The OpenAPI 3.1 document, made of the route table (served at /openapi.json)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from glancecore.ports.http import Route

ERROR = {
    "type": "object",
    "required": ["message", "code", "title", "error"],
    "properties": {
        "message": {"type": "string"},
        "code": {"type": "string"},
        "title": {"type": "string"},
        "error": {"type": "string", "description": "Stable, for programs."},
    },
}
_VALUE = re.compile(r"<(?:\w+:)?(\w+)>")


def document(routes: Iterable[Route]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _VALUE.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Image API",
            "version": "2.18",
            "description": "OpenStack Image API v2, as glancecore serves it.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": ERROR},
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{"token": []}, {"basic": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _name(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _VALUE.findall(route.path)
        ],
        "responses": {str(status): _answer(status, schema) for status, schema in route.answers.items()},
    }
    for param in route.params:
        schema = {"type": "array", "items": param.schema} if param.repeated else param.schema
        operation["parameters"].append(
            {"name": param.name, "in": param.where, "description": param.description, "schema": schema}
        )
    if route.body is not None:
        schema = {} if isinstance(route.body, str) else route.body
        types = [route.body] if isinstance(route.body, str) else route.body_types
        operation["requestBody"] = {"required": True, "content": {x: {"schema": schema} for x in types}}
    operation["responses"]["default"] = {
        "description": "Error",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Error"}},
            "text/plain": {},
            "text/html": {},
        },
    }
    if route.public:
        operation["security"] = []
    return operation


def _name(route: Route) -> str:
    """Another one for a path with a slash at its end: they are two routes."""
    words = re.sub(r"[^a-z0-9]+", "_", route.path.lower()).strip("_") or "root"
    return f"{route.method.lower()}_{words}{'_index' if route.path.endswith('/') and route.path != '/' else ''}"


def _answer(status: int, schema: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if isinstance(schema, str):
        answer["content"] = {schema: {}}
    elif schema is not None:
        answer["content"] = {"application/json": {"schema": schema}}
    return answer
