"""Verified imports: the data must have the digest that its user expects, by value or by a checksum file."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from glancecore.domain import errors
from glancecore.imports.run import Run
from glancecore.ports.store import CHUNK

#: Algorithms that a caller may name, with the length of their digests in hexadecimal digits.
ALGORITHMS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128, "sha3_256": 64, "sha3_512": 128,
              "blake2b": 128}


class Expected:
    """The digests that the data of a run must have. What was found while it was fetched is remembered, so that it need not be read again."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def algorithms(self, run: Run) -> frozenset[str]:
        return frozenset(wanted(run.request.method))

    def found(self, digests: Mapping[str, str]) -> None:
        self._found = dict(digests)

    def verify(self, run: Run) -> None:
        """Raises DigestMismatch, saying both digests."""
        expected = wanted(run.request.method)
        staged = run.image().staged
        if not expected or staged is None:
            return
        known = {**self._found, "md5": staged.digests.checksum, staged.digests.hash_algo: staged.digests.hash_value}
        missing = set(expected) - set(known)
        if missing:
            known |= _read_again(run, staged.store, staged.url, missing)
        for name, digest in expected.items():
            if not hmac.compare_digest(digest.encode(), known[name].encode()):
                raise errors.DigestMismatch(f"the {name} of the data is {known[name]}, but {digest} was expected; nothing was kept")


def wanted(method: Mapping[str, object]) -> dict[str, str]:
    """What a caller's ``expected`` says. Raises Invalid."""
    given = method.get("expected", {})
    if not isinstance(given, dict):
        raise errors.Invalid("method.expected: an object of algorithm and digest, such as {\"sha256\": \"…\"}")
    found = {}
    for name, digest in given.items():
        length = ALGORITHMS.get(name)
        if length is None:
            raise errors.Invalid(f"method.expected: {name!r} is not one of {', '.join(ALGORITHMS)}")
        if not isinstance(digest, str) or len(digest) != length or not set(digest.lower()) <= set("0123456789abcdef"):
            raise errors.Invalid(f"method.expected.{name}: a digest of {length} hexadecimal digits")
        found[name] = digest.lower()
    return found


def _read_again(run: Run, store: str, url: str, names: set[str]) -> dict[str, str]:
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    for piece in run.parts.stores.recorded(store).open(url):
        for at in range(0, len(piece), CHUNK):
            run.check_alive()
            for digest in digests.values():
                digest.update(piece[at:at + CHUNK])
    return {name: digest.hexdigest() for name, digest in digests.items()}
