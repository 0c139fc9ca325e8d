"""How answers are made."""

from __future__ import annotations

import orjson
from flask import Response


def json_response(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, content_type="application/json")


def empty(status: int = 204) -> Response:
    response = Response(status=status)
    response.headers.pop("Content-Type", None)
    return response
