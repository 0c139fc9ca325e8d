"""Data that waits to be imported, written to the staging store in the same single pass as an upload.

The staging store is any writable store, kept apart from those that users see. Keys are made new for each writing, so
that a writer that has lost its lease can never touch another one's bytes."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.domain.lease import BlobRef
from glancecore.domain.staged import InspectionVerdict, Staged
from glancecore.kernel.transfer.data_settings import DataSettings
from glancecore.kernel.transfer.examination import Judge
from glancecore.kernel.transfer.inspection import Inspector
from glancecore.kernel.transfer.intake import Intake
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores
from glancecore.ports.store import CHUNK, Cap

LOG = logging.getLogger(__name__)


class StagedData:
    """Reads and writes staged data; knows nothing of who may. ``defer_verdict``: a step may make other data of it, so
    what the inspection says is kept with the data instead of ending the writing."""

    def __init__(self, stores: Stores, settings: DataSettings, *, defer_verdict: bool) -> None:
        self._stores = stores
        self._settings = settings
        self._defer_verdict = defer_verdict

    @property
    def store(self) -> StoreFacade:
        """Raises StoreUnavailable."""
        return self._stores.staging

    @property
    def cap(self) -> int:
        """Most bytes of one image."""
        return self._settings.size_cap

    def ref(self, image_id: str) -> BlobRef:
        """Where the next staged data of the image goes: intent, to be recorded before ``put``."""
        return BlobRef(self.store.id, f"{image_id}.{secrets.token_hex(8)}")

    def put(
        self,
        image: Image,
        ref: BlobRef,
        pieces: Iterable[bytes],
        *,
        size: int | None = None,
        reserve: Callable[[int], None] | None = None,
        check_lease: Callable[[], None] | None = None,
        algorithms: Collection[str] = (),
    ) -> tuple[Staged, dict[str, str]]:
        """Write, hash and inspect in one pass; also the digests by ``algorithms``. Raises TooLarge, SizeMismatch,
        BadContent, StoreError, and whatever ``pieces``, ``reserve`` and ``check_lease`` raise; then nothing is left."""
        judge = self.inspector(image)
        intake = Intake(
            pieces,
            self._settings.algorithm,
            size=size,
            cap=self._settings.size_cap,
            inspector=judge,
            reserve=reserve,
            check_lease=check_lease,
            algorithms=algorithms,
            checksum=self._settings.checksum,
        )
        location = self.store.put(ref.key, intake, size)
        return Staged(ref.store, ref.key, location.url, intake.digests, judge.verdict), intake.extra_digests

    def put_file(self, image: Image, ref: BlobRef, path: Path, progress: Callable[[int, int], None]) -> Staged:
        """The same for a local file, which is taken over without being copied where the store can."""
        size = path.stat().st_size
        if self.store.offers(Cap.ADOPT):
            judge = self.inspector(image)
            intake = Intake(
                _read(path, progress),
                self._settings.algorithm,
                size=size,
                cap=self._settings.size_cap,
                inspector=judge,
                checksum=self._settings.checksum,
            )
            for _ in intake:
                pass  # hashed and inspected on the way
            try:
                location = self.store.adopt(ref.key, path)
            except errors.Unsupported:
                LOG.debug("%s can't be linked into the staging store: it is copied", path.name)
            else:
                return Staged(ref.store, ref.key, location.url, intake.digests, judge.verdict)
        return self.put(image, ref, _read(path, progress), size=size)[0]

    def inspector(self, image: Image) -> Judge:
        """Of data that is to be staged for the image; it raises BadContent, or keeps its verdict for later."""
        made = Inspector(image.disk_format or "", image.container_format or "", self._settings.inspection)
        return LateInspector(made) if self._defer_verdict else made

    def judge(self, image: Image, staged: Staged, progress: Callable[[int, int], None]) -> Staged:
        """The same data, inspected as what ``image`` says now that it is. Raises BadContent, StoreError, and what
        ``progress`` raises."""
        judge, seen = self.inspector(image), 0
        for piece in self._stores.recorded(staged.store).open(staged.url):
            judge.update(piece)
            seen += len(piece)
            progress(seen, staged.digests.size)
        return replace(staged, digests=replace(staged.digests, virtual_size=judge.finish()), verdict=judge.verdict)

    def discard(self, ref: BlobRef) -> None:
        self._stores.discard(ref)


class LateInspector:
    """An inspector whose refusal is kept for later."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self.verdict: InspectionVerdict | None = None

    def update(self, piece: bytes) -> None:
        if self.verdict is None:
            self._noted(lambda: self._inspector.update(piece))

    def finish(self) -> int | None:
        return self._noted(self._inspector.finish) if self.verdict is None else None

    def _noted(self, look: Callable[[], int | None]) -> int | None:
        try:
            return look()
        except errors.BadContent as exc:
            self.verdict = InspectionVerdict(exc.code, str(exc))
            return None


def _read(path: Path, progress: Callable[[int, int], None]) -> Iterator[bytes]:
    total, seen = path.stat().st_size, 0
    with path.open("rb") as src:
        while piece := src.read(CHUNK):
            seen += len(piece)
            progress(seen, total)
            yield piece
