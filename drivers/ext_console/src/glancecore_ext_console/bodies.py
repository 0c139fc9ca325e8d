"""Bodies of requests that strangers may send."""

from __future__ import annotations

from flask import Request

from glancecore.domain import errors


def within(request: Request, limit: int) -> None:
    """Refuse a body before a byte of it is read: one in pieces could come for as long as its sender likes, and hold a
    thread all the while.

    ``limit``: bytes. Raises LengthRequired, TooLarge."""
    if "HTTP_TRANSFER_ENCODING" in request.environ:
        raise errors.LengthRequired("Content-Length: this request needs it; a body in chunks is not taken here")
    if request.content_length is not None and request.content_length > limit:
        raise errors.TooLarge(f"the body has {request.content_length} bytes; at most {limit} are taken here")
