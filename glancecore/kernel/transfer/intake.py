"""The one pass over incoming bytes: count, limit, hash, inspect, and stop before anything wrong is committed.

An ``Intake`` wraps the source and is handed to ``Store.put``. What is wrong with the data is raised from inside the
iteration, after the last piece at the latest, so the store sees a broken source and leaves nothing behind: a driver
never commits bytes that are to be refused. Memory: a few pieces, whatever the size.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Protocol

from glancecore.domain import errors
from glancecore.domain.staged import Digests
from glancecore.kernel.transfer.hashing import Hashes
from glancecore.kernel.transfer.signatures import SignatureCheck


class Judge(Protocol):
    """Looks at the pieces as they pass; see ``Inspector``."""

    def update(self, piece: bytes) -> None: ...

    def finish(self) -> int | None: ...


class Intake:
    """Iterate once, then ask ``digests``. The source is closed when it has ended, well or badly.

    ``size``: bytes that the sender declared, or None. ``cap``: most bytes allowed. ``reserve``: called with the bytes seen so
    far before a piece is taken; raises QuotaExceeded. ``check_lease``: called for each piece; raises LeaseLost.
    ``algorithms``: more digests to make, told by ``extra_digests``. ``checksum``: make the MD5, too. ``signature``: raises SignatureInvalid when it is not of this data.
    """

    def __init__(self, source: Iterable[bytes], algorithm: str, *, size: int | None, cap: int,
                 inspector: Judge | None = None, reserve: Callable[[int], None] | None = None,
                 check_lease: Callable[[], None] | None = None, algorithms: Collection[str] = (),
                 signature: SignatureCheck | None = None, checksum: bool = True) -> None:
        self._source = source
        self._algorithm = algorithm
        self._declared = size
        self._cap = cap
        self._inspector = inspector
        self._reserve = reserve
        self._check_lease = check_lease
        self._seen = 0
        self._digests: Digests | None = None
        self._algorithms = frozenset(algorithms)
        self._signature = signature
        self._checksum = checksum
        self.extra_digests: dict[str, str] = {}

    def __iter__(self) -> Iterator[bytes]:
        hashes = Hashes({self._algorithm, *self._algorithms, *(["md5"] if self._checksum else []), *([self._signature.algorithm] if self._signature else [])})
        try:
            if self._declared is not None and self._declared > self._cap:
                raise errors.TooLarge(f"the data has {self._declared} bytes; image_size_cap is {self._cap}")
            for piece in self._source:
                self._seen += len(piece)
                self._check(piece)
                hashes.update(piece)
                yield piece
            if self._declared is not None and self._seen != self._declared:
                raise errors.SizeMismatch(f"{self._declared} bytes were declared, but {self._seen} came")
            virtual_size = self._inspector.finish() if self._inspector else None
            found = hashes.result()
            if self._signature:
                self._signature.verify(found[self._signature.algorithm])
            self.extra_digests = {name: found[name] for name in self._algorithms}
            self._digests = Digests(self._seen, found["md5"] if self._checksum else None, self._algorithm, found[self._algorithm], virtual_size)
        finally:
            hashes.close()
            close = getattr(self._source, "close", None)
            if close:
                close()  # or whoever sends goes on until the garbage collector comes

    def _check(self, piece: bytes) -> None:
        if self._declared is not None and self._seen > self._declared:
            raise errors.SizeMismatch(f"{self._declared} bytes were declared, but more came")
        if self._seen > self._cap:
            raise errors.TooLarge(f"the data is larger than image_size_cap, {self._cap} bytes")
        if self._check_lease:
            self._check_lease()
        if self._reserve:
            self._reserve(self._seen)
        if self._inspector:
            self._inspector.update(piece)

    @property
    def digests(self) -> Digests:
        """What the pass found; only after the iteration has ended well."""
        if self._digests is None:
            raise errors.GlanceError("the data was not read to its end")
        return self._digests
