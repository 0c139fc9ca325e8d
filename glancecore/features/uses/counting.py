"""Counts the uses of images in memory, and writes them down in batches: no request has more to write for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.domain.image import Image
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.ports.record_repository import Record, RecordAdded, RecordChange, RecordChanged, RecordQuery
from glancecore.ports.repository import Database
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)
#: Of extensions' collections each has a dot in its name.
COLLECTION, BEGIN = "image_uses", "image_uses_begin"
#: Seconds that a process keeps what it has counted before it writes it down: a process that is killed loses so much of
#: it at most.
INTERVAL = 30.0
#: Images of one commit, and those that a process counts while nothing can be written.
_BATCH, _MOST = 100, 100_000


@dataclass(frozen=True, slots=True)
class Use:
    """``count`` of requests that have read the data; ``last_at``, aware UTC: the last of them; None: there was none
    since counting began."""

    count: int = 0
    last_at: datetime | None = None

    def and_then(self, later: Use) -> Use:
        times = [x for x in (self.last_at, later.last_at) if x is not None]
        return Use(self.count + later.count, max(times, default=None))


class UseRows:
    """What is written down. Any method may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, image_ids: Sequence[str]) -> dict[str, Use]:
        """Of those that were used, in one question."""
        query = RecordQuery(COLLECTION, equal=list(image_ids), limit=len(image_ids))
        return {x.id: _use(x) for x in self._database.records.find(query)} if image_ids else {}

    def begun_at(self) -> datetime | None:
        """When counting began in this deployment; None: not yet."""
        try:
            return _moment(self._database.records.get(BEGIN, BEGIN).data["at"])
        except errors.RecordNotFound:
            return None

    def begin(self, at: datetime) -> None:
        if self.begun_at() is None:
            try:
                self._database.images.commit(RecordAdded(Record(BEGIN, BEGIN, {"at": at.isoformat()})))
            except errors.RecordExists:
                LOG.debug("another process has begun to count uses")

    def add(self, uses: Mapping[str, Use]) -> None:
        """To those written down, all or none. Raises ConcurrentChange, ImageNotFound, RecordExists, RecordNotFound."""
        query = RecordQuery(COLLECTION, equal=sorted(uses), limit=len(uses))
        before = {x.id: x for x in self._database.records.find(query)}
        self._database.images.commit(*(_change(before.get(x), x, uses[x]) for x in sorted(uses)))

    @on_concurrent_change
    def add_one(self, image_id: str, use: Use) -> None:
        """One that somebody else writes down, too. Raises ImageNotFound."""
        try:
            self.add({image_id: use})
        except (errors.RecordExists, errors.RecordNotFound) as exc:
            raise errors.ConcurrentChange("somebody else was faster") from exc


class UseCounter:
    """Thread-safe. ``written_each``: seconds."""

    def __init__(self, rows: UseRows, written_each: float = INTERVAL, clock: Callable[[], datetime] = now) -> None:
        self._rows = rows
        self._each = written_each
        self._clock = clock
        self._counted: dict[str, Use] = {}
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._written_at = time.monotonic()
        self._begun = False

    def count(self, image: Image) -> None:
        """The image's data was read. Costs no statement."""
        use = Use(1, self._clock())
        with self._guard:
            known = self._counted.get(image.id)
            if known is not None or len(self._counted) < _MOST:
                self._counted[image.id] = known.and_then(use) if known else use

    def write_in_time(self) -> None:
        """Each few seconds. Raises DatabaseUnavailable."""
        if not self._begun:
            self._rows.begin(self._clock())
            self._begun = True
        if time.monotonic() - self._written_at >= self._each:
            self.write()

    def write(self) -> None:
        """All that was counted. Raises DatabaseUnavailable: then what is not known to be written is kept for the next
        time, and may be counted twice."""
        with self._writing:
            self._written_at = time.monotonic()
            with self._guard:
                left, self._counted = self._counted, {}
            try:
                while left:
                    batch = dict(list(left.items())[:_BATCH])
                    checkpoint("uses.before_write")
                    self._write(batch)
                    left = {x: y for x, y in left.items() if x not in batch}
            finally:
                with self._guard:
                    for image_id, use in left.items():
                        self._counted[image_id] = use.and_then(self._counted.get(image_id, Use()))

    def _write(self, batch: Mapping[str, Use]) -> None:
        try:
            self._rows.add(batch)
        except (errors.ConcurrentChange, errors.ImageNotFound, errors.RecordExists, errors.RecordNotFound) as exc:
            LOG.debug("uses of %d images are written one by one: %s", len(batch), exc)
            self._write_singly(batch)

    def _write_singly(self, batch: Mapping[str, Use]) -> None:
        for image_id, use in batch.items():
            try:
                self._rows.add_one(image_id, use)
            except errors.ImageNotFound:
                LOG.debug("image %s is gone, and its uses with it", image_id)
            except errors.ConcurrentChange as exc:
                LOG.warning("%d uses of image %s are not counted: %s", use.count, image_id, exc)


def _change(before: Record | None, image_id: str, use: Use) -> RecordChange:
    total = _use(before).and_then(use) if before else use
    data: dict[str, object] = {"count": total.count, "last_at": total.last_at.isoformat() if total.last_at else None}
    if before is None:
        return RecordAdded(Record(COLLECTION, image_id, data, image_id=image_id))
    return RecordChanged(before, Record(COLLECTION, image_id, data, image_id=image_id, version=before.version + 1))


def _use(record: Record) -> Use:
    count, last_at = record.data.get("count"), record.data.get("last_at")
    return Use(count if isinstance(count, int) else 0, _moment(last_at) if last_at else None)


def _moment(value: object) -> datetime:
    return datetime.fromisoformat(str(value))
