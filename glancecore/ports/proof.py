"""How a call to the private metadata service proves that its sender knows the shared secret, which itself never travels.

HMAC-SHA256 over time, call, the shape of its values and the body. A call that was overheard can be repeated for as long as
clocks may differ; most changes carry the version that they replace, so that a second time they are refused.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

#: Seconds that two clocks may differ.
LEEWAY = 300
TIME, PROOF, SHAPE = "Glance-Time", "Glance-Proof", "Glance-Shape"
#: Header of every answer of the service itself, so that those of a proxy in front are not taken for its own.
SERVED = "Glance-Registry"


def proof(secret: str, time: str, call: str, shape: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), b"\n".join((time.encode(), call.encode(), shape.encode(), body)), "sha256").hex()


def proved(secrets: Iterable[str], given: str, time: str, call: str, shape: str, body: bytes) -> bool:
    """Whether any of the secrets made it, in constant time for each."""
    fits = [hmac.compare_digest(proof(x, time, call, shape, body).encode(), given.encode()) for x in secrets]
    return any(fits)
