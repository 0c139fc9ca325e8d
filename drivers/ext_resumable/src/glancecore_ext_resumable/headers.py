"""The headers of the draft: structured fields. What is wrong with one is Invalid, which names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import http_sf

from glancecore.domain import errors

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

#: Of the draft: a 104 is sent to who says the same.
INTEROP = "8"
PARTIAL = "application/partial-upload"
#: The largest whole number of a structured field.
_MOST = 999_999_999_999_999


def complete(headers: Headers) -> bool:
    """Upload-Complete: whether the upload ends with this request."""
    found = _item(headers, "Upload-Complete")
    if not isinstance(found, bool):
        raise errors.Invalid("Upload-Complete must be given: ?1 when the upload ends with this request, else ?0")
    return found


def number(headers: Headers, name: str) -> int | None:
    """Of bytes; None when it is not there."""
    if name not in headers:
        return None
    found = _item(headers, name)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise errors.Invalid(f"{name} must be a whole number of bytes from 0")
    return found


def _item(headers: Headers, name: str) -> object:
    try:
        found: Any = http_sf.parse(headers.get(name, "").encode("latin-1"), tltype="item")
    except ValueError as exc:
        raise errors.Invalid(f"{name} is no structured field (RFC 9651)") from exc
    return found[0]


def limits(largest: int, seconds: float) -> str:
    """Upload-Limit; ``seconds`` until the upload expires."""
    return str(http_sf.ser({"max-size": min(largest, _MOST), "max-age": min(max(0, int(seconds)), _MOST)}))
