"""Verified imports: the data must have the digest that its user expects, by value or by a checksum file."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from glancecore.domain import errors
from glancecore.imports.run import Run
from glancecore.ports.store import CHUNK
from glancecore.services.expected import wanted


class Expected:
    """The digests that the data of a run must have. What was found while it was fetched is remembered, so that it need not be read again."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def algorithms(self, run: Run) -> frozenset[str]:
        return frozenset(wanted(run.request.method))

    def found(self, digests: Mapping[str, str]) -> None:
        self._found = dict(digests)

    def verify(self, run: Run) -> None:
        """Raises HashMismatch, saying both digests."""
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
                raise errors.HashMismatch(f"the {name} of the data is {known[name]}, but {digest} was expected; nothing was kept")


def _read_again(run: Run, store: str, url: str, names: set[str]) -> dict[str, str]:
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    for piece in run.parts.stores.recorded(store).open(url):
        for at in range(0, len(piece), CHUNK):
            run.check_alive()
            for digest in digests.values():
                digest.update(piece[at:at + CHUNK])
    return {name: digest.hexdigest() for name, digest in digests.items()}
