"""How a call to the private metadata service, and its answer, prove that the sender knows the shared secret, which
itself never travels.

HMAC-SHA256. The proof of a call is all in its header, so that a stranger's body is never read: it covers the body's
SHA-256. It also covers the process of the service that it is meant for, and a number that its caller uses once: a call
that was overheard is good nowhere a second time. The proof of an answer covers that of its call."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Seconds that two clocks may differ.
LEEWAY = 300
#: Header of every answer of the service itself, so that those of a proxy in front are not taken for its own.
SERVED = "Glance-Registry"
#: Where a caller learns whom it talks to: the one call that is for any instance.
INSTANCE_PATH = "/instance"
#: Headers of a call and, the last two, of an answer.
TIME, SHAPE, DIGEST, CALLER, NUMBER, INSTANCE, PROOF = (
    f"Glance-{x}" for x in ("Time", "Shape", "Digest", "Caller", "Number", "Instance", "Proof")
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What the proof of a call covers, as it stands in the header. ``time``: Unix seconds. ``digest``: SHA-256 of the
    body in hex. ``caller``: a process that calls, by random digits; it counts its calls in ``number``. ``instance``:
    the process of the service that may carry it out, by random digits that stand in its answers."""

    path: str
    shape: str
    time: str
    digest: str
    caller: str
    number: str
    instance: str

    def proof(self, secret: str) -> str:
        return _mac(
            secret, "call", self.path, self.shape, self.time, self.digest, self.caller, self.number, self.instance
        )

    def headers(self, secret: str) -> dict[str, str]:
        return {
            SHAPE: self.shape,
            TIME: self.time,
            DIGEST: self.digest,
            CALLER: self.caller,
            NUMBER: self.number,
            INSTANCE: self.instance,
            PROOF: self.proof(secret),
        }


def claimed(path: str, headers: Mapping[str, str]) -> Claim:
    """Of a call's headers; empty where there is none."""
    return Claim(path, *(headers.get(x, "") for x in (SHAPE, TIME, DIGEST, CALLER, NUMBER, INSTANCE)))


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def of_answer(secret: str, call: str, status: int, body: bytes) -> str:
    """``call``: the proof of the call that it answers."""
    return _mac(secret, "answer", call, str(status), digest(body))


def same(given: str, made: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(given.encode(), made.encode())


def prover(secrets: Iterable[str], claim: Claim, given: str) -> str | None:
    """The secret that the proof ``given`` was made with, if it is one of them."""
    fitting = [x for x in secrets if same(given, claim.proof(x))]
    return fitting[0] if fitting else None


def _mac(secret: str, *parts: str) -> str:
    """No part has a line break: they are values of headers."""
    return hmac.digest(secret.encode(), "\n".join(parts).encode(), "sha256").hex()
