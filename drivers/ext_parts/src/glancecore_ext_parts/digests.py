"""``Content-Digest`` (RFC 9530): what all bytes of a request have together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import http_sf

from glancecore.domain import errors
from glancecore.domain.upload_session import PieceDigest

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

NAME = "Content-Digest"
#: Of RFC 9530's registry those that are not broken -> hashlib's name, the one to prefer first.
ALGORITHMS = {"sha-512": "sha512", "sha-256": "sha256"}


def content_digest(headers: Headers) -> PieceDigest | None:
    """None: the header is not there. Raises Invalid."""
    if NAME not in headers:
        return None
    try:
        found: Any = http_sf.parse(headers.get(NAME, "").encode("latin-1"), tltype="dictionary")
    except ValueError as exc:
        raise errors.Invalid(f"{NAME} is no structured field (RFC 9651), such as sha-256=:<Base64>:") from exc
    for name, algorithm in ALGORITHMS.items():
        value = found.get(name, (None,))[0]
        if isinstance(value, bytes):
            return PieceDigest(algorithm, value)
    raise errors.Invalid(f"{NAME} must have one of {', '.join(ALGORITHMS)}, in the form sha-256=:<Base64>:")
