"""Signatures as the Standard Webhooks specification 1.0.0 has them: HMAC-SHA256 of id, time and body."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence

_PREFIX = "whsec_"


def key(secret: str) -> bytes:
    """The bytes of a secret. Raises ValueError."""
    if not secret.startswith(_PREFIX):
        raise ValueError(f"it does not begin with {_PREFIX}")
    try:
        found = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"what follows {_PREFIX} is not base64") from None
    if not 24 <= len(found) <= 64:
        raise ValueError(f"it has {len(found)} bytes; 24 to 64 are needed")
    return found


def headers(id_: str, seconds: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """``seconds``: of this attempt, since 1970. One signature for each key, so that a receiver may know any of them."""
    found = {"webhook-id": id_, "webhook-timestamp": str(seconds)}
    if keys:
        signed = b".".join((id_.encode(), str(seconds).encode(), body))
        found["webhook-signature"] = " ".join(
            f"v1,{base64.b64encode(hmac.digest(x, signed, 'sha256')).decode()}" for x in keys
        )
    return found
