"""What is found out about data while it passes, in one request or in several: its digests, and whether it is what the
image says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from glancecore.domain.staged import Digests, InspectionVerdict
from glancecore.kernel.transfer.hashing import Hashes
from glancecore.kernel.transfer.signatures import SignatureCheck


class Judge(Protocol):
    """Looks at the pieces as they pass; see ``Inspector``."""

    @property
    def verdict(self) -> InspectionVerdict | None:
        """What is wrong with them and was not raised."""

    def update(self, piece: bytes) -> None: ...

    def finish(self) -> int | None: ...


class Examination:
    """``update`` for each piece, in order; ``pause`` while none is to come soon; in the end ``finish``, or ``pause``
    for good."""

    def __init__(self, algorithms: Iterable[str], judge: Judge | None) -> None:
        self.algorithms = frozenset(algorithms)
        self._hashes = Hashes(self.algorithms)
        self._judge = judge
        #: Bytes that have passed.
        self.seen = 0
        #: In the end: digests by algorithm.
        self.found: Mapping[str, str] = {}

    def update(self, piece: bytes) -> None:
        """Raises BadContent as soon as the data is known to be wrong."""
        self.seen += len(piece)
        if self._judge is not None:
            self._judge.update(piece)
        self._hashes.update(piece)

    @property
    def verdict(self) -> InspectionVerdict | None:
        """See ``Judge``."""
        return self._judge.verdict if self._judge is not None else None

    def pause(self) -> None:
        """End the threads; safe to call twice."""
        self._hashes.close()

    def finish(self, algorithm: str, signature: SignatureCheck | None, *, checksum: bool) -> Digests:
        """What all of the data is. ``signature``: is it one of this data? Its ``algorithm`` is among those that were
        asked for, as is MD5 for ``checksum``. Raises BadContent, SignatureInvalid."""
        virtual_size = self._judge.finish() if self._judge is not None else None
        self.found = self._hashes.result()
        if signature is not None:
            signature.verify(self.found[signature.algorithm])
        return Digests(
            self.seen, self.found["md5"] if checksum else None, algorithm, self.found[algorithm], virtual_size
        )
