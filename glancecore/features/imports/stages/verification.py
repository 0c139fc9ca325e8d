"""Verified imports: the data must have the digest that its user expects, by value or by a checksum file."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

from glancecore.domain import errors
from glancecore.features.imports.expected import wanted
from glancecore.features.imports.run import ImportRun
from glancecore.features.imports.stages.work import MethodWork
from glancecore.ports.store import CHUNK


class Expected:
    """The digests that the data of a run must have, and its signature."""

    def __init__(self) -> None:
        self._wanted: list[tuple[str, str]] | None = None

    def algorithms(self, run: ImportRun) -> frozenset[str]:
        signature = run.services.signatures.check_of(run.image(), run.request.secrets.get("token"))
        return frozenset(name for name, _ in self._of(run)) | ({signature.algorithm} if signature else frozenset())

    def verify(self, run: ImportRun) -> None:
        """Raises HashMismatch, saying both digests, and SignatureInvalid."""
        expected = self._of(run)
        image = run.image()
        staged = image.staged
        signature = (
            run.services.signatures.check_of(image, run.request.secrets.get("token")) if staged is not None else None
        )
        if staged is None or not (expected or signature):
            return
        known = staged.known
        missing = {name for name, _ in expected} | ({signature.algorithm} if signature else set())
        missing -= set(known)
        if missing and not staged.original:
            raise errors.ImportFailed(
                f"the {min(missing)} of the data as it came is not known any more, for an earlier import has made other"
                f" data of it: expect its {' or '.join(sorted(known))}, or send the data again"
            )
        if missing:
            known |= _read_again(run, staged.store, staged.url, missing)
            run.save(image=lambda x: x if x.staged is None else x.with_staged(replace(x.staged, arrived=known)))
        if signature:
            signature.verify(known[signature.algorithm])
        for name, digest in expected:
            if not hmac.compare_digest(digest.encode(), known[name].encode()):
                raise errors.HashMismatch(
                    f"the {name} of the data is {known[name]}, but {digest} was expected; nothing was kept"
                )

    def _of(self, run: ImportRun) -> list[tuple[str, str]]:
        """The caller's own, and what the method has found out."""
        if self._wanted is None:
            self._wanted = [*wanted(run.request.method).items(), *run.method.expected(MethodWork(run)).items()]
        return self._wanted


def _read_again(run: ImportRun, store: str, url: str, names: set[str]) -> dict[str, str]:
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    for piece in run.services.stores.recorded(store).open(url):
        for at in range(0, len(piece), CHUNK):
            run.check_alive()
            for digest in digests.values():
                digest.update(piece[at : at + CHUNK])
    return {name: digest.hexdigest() for name, digest in digests.items()}
