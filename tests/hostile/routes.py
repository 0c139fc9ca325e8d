"""What is served, as the OpenAPI document has it: it is made of the route table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
#: Method and path to what the document says of it.
ROUTES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    **{
        (method.upper(), path): operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    },
    ("GET", "/openapi.json"): {"parameters": []},
}


def body_of(operation: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Media type and schema of the body that it takes."""
    content = operation.get("requestBody", {}).get("content", {})
    return next(((kind, said.get("schema") or {}) for kind, said in content.items()), None)
