"""The proofs of the calls of one process, and of their answers."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Mapping

from glancecore.sdk.registry import signing as proof


class Unproved(Exception):
    """Somebody without the secret answered."""


class Prover:
    """Thread-safe. ``secret``: what is shared with the service."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._caller = secrets.token_hex(8)
        self._number = itertools.count(1)

    def headers(self, path: str, shape: str, body: bytes, instance: str) -> dict[str, str]:
        """Of one attempt: they are good once."""
        return proof.Claim(
            path, shape, str(int(time.time())), proof.digest(body), self._caller, str(next(self._number)), instance
        ).headers(self._secret)

    def check(self, sent: Mapping[str, str], status: int, got: Mapping[str, str], body: bytes) -> None:
        """Raises Unproved unless who answered these headers knows the secret."""
        if not proof.same(got.get(proof.PROOF, ""), proof.of_answer(self._secret, sent[proof.PROOF], status, body)):
            raise Unproved("the answer is not proved by [database] registry_secret")
