"""Lists of an extension that come in pages: their parameters, and the answer with the address of the next page."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from flask import Request, Response

from glancecore.domain import errors, text
from glancecore.ports.http import Param
from glancecore.sdk.responses import json_response

#: Rows of a page, unless it is said, and at most.
USUAL, MOST = 100, 1000
PARAMS = (
    Param(
        "limit", f"Rows of a page; {USUAL} unless it is said, at most {MOST}.", schema={"type": "integer", "minimum": 1}
    ),
    Param("marker", "The last one of the page before: see next."),
)


def limit(request: Request) -> int:
    """Rows that are wanted: 1 to ``MOST``. Raises Invalid."""
    found = whole_number("limit", request.args.get("limit", str(USUAL)))
    if found < 1:
        raise errors.Invalid("limit: 0 is not at least 1")
    return min(found, MOST)


def whole_number(where: str, given: str) -> int:
    """Raises Invalid, naming ``where``."""
    if not (given.isascii() and given.isdecimal()) or len(given) > 9:
        raise errors.Invalid(f"{where}: {text.shortened(given)!r} is not a whole number below 1,000,000,000")
    return int(given)


def listed(request: Request, name: str, rows: Sequence[dict[str, object]], marker: str | None) -> Response:
    """``{name: rows}``, and ``next`` unless ``marker`` is None: nothing is behind."""
    more = {}
    if marker:
        asked = [(key, value) for key, value in request.args.items() if key != "marker"]
        more["next"] = f"{request.path}?{urlencode([*asked, ('marker', marker)])}"
    return json_response({name: rows, **more})
