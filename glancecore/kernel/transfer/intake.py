"""The one pass over incoming bytes: count, limit, hash, inspect, and stop before anything wrong is committed.

An ``Intake`` wraps the source and is handed to ``Store.put``. What is wrong with the data is raised from inside the
iteration, after the last piece at the latest, so the store sees a broken source and leaves nothing behind: a driver
never commits bytes that are to be refused. Memory: a few pieces, whatever the size.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from glancecore.domain import errors
from glancecore.domain.staged import Digests
from glancecore.kernel.transfer.examination import Examination, Judge
from glancecore.kernel.transfer.signatures import SignatureCheck


class Intake:
    """Iterate once, then ask ``digests``. The source is closed when it has ended, well or badly.

    ``size``: bytes that the sender declared, or None. ``cap``: most bytes allowed. ``reserve``: called with the bytes
    seen so far before a piece is taken; raises QuotaExceeded. ``check_lease``: called for each piece; raises LeaseLost.
    ``algorithms``: more digests to make, told by ``extra_digests``. ``checksum``: make the MD5, too. ``signature``:
    raises SignatureInvalid when it is not of this data."""

    def __init__(
        self,
        source: Iterable[bytes],
        algorithm: str,
        *,
        size: int | None,
        cap: int,
        inspector: Judge | None = None,
        reserve: Callable[[int], None] | None = None,
        check_lease: Callable[[], None] | None = None,
        algorithms: Collection[str] = (),
        signature: SignatureCheck | None = None,
        checksum: bool = True,
    ) -> None:
        self._source = source
        self._algorithm = algorithm
        self._declared = size
        self._cap = cap
        self._inspector = inspector
        self._reserve = reserve
        self._check_lease = check_lease
        self._digests: Digests | None = None
        self._algorithms = frozenset(algorithms)
        self._signature = signature
        self._checksum = checksum
        self.extra_digests: dict[str, str] = {}

    def __iter__(self) -> Iterator[bytes]:
        examination = Examination(
            {
                self._algorithm,
                *self._algorithms,
                *(["md5"] if self._checksum else []),
                *([self._signature.algorithm] if self._signature else []),
            },
            self._inspector,
        )
        try:
            if self._declared is not None and self._declared > self._cap:
                raise errors.TooLarge(f"the data has {self._declared} bytes; image_size_cap is {self._cap}")
            for piece in self._source:
                self._check(examination.seen + len(piece))
                examination.update(piece)
                yield piece
            if self._declared is not None and examination.seen != self._declared:
                raise errors.SizeMismatch(f"{self._declared} bytes were declared, but {examination.seen} came")
            self._digests = examination.finish(self._algorithm, self._signature, checksum=self._checksum)
            self.extra_digests = {name: examination.found[name] for name in self._algorithms}
        finally:
            examination.pause()
            close = getattr(self._source, "close", None)
            if close:
                close()  # or whoever sends goes on until the garbage collector comes

    def _check(self, seen: int) -> None:
        if self._declared is not None and seen > self._declared:
            raise errors.SizeMismatch(f"{self._declared} bytes were declared, but more came")
        if seen > self._cap:
            raise errors.TooLarge(f"the data is larger than image_size_cap, {self._cap} bytes")
        if self._check_lease:
            self._check_lease()
        if self._reserve:
            self._reserve(seen)

    @property
    def digests(self) -> Digests:
        """What the pass found; only after the iteration has ended well."""
        if self._digests is None:
            raise errors.GlanceError("the data was not read to its end")
        return self._digests
