"""Stores that the operator takes out of service: they take no new data. Kept in the database, so every process knows it
soon, and after each start."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Container
from datetime import datetime

from glancecore.domain import errors
from glancecore.ports.record_repository import Record, RecordAdded, RecordQuery, RecordRemoved
from glancecore.ports.repository import Database

LOG = logging.getLogger(__name__)
#: Of extensions' collections each has a dot in its name.
COLLECTION = "draining_stores"
#: Seconds that a process goes by what it has read last.
AGE = 2.0
_MOST = 1000


class Draining(Container[str]):
    """The ids of stores that drain. Thread-safe; asking it costs a statement every ``AGE`` seconds at most."""

    def __init__(self, database: Database, age: float = AGE) -> None:
        self._database = database
        self._age = age
        self._lock = threading.Lock()
        self._known: frozenset[str] | None = None
        self._read_at = 0.0

    def __contains__(self, store_id: object) -> bool:
        """Without the database what was known last holds: nothing can be written then anyway."""
        if self._known is not None and time.monotonic() - self._read_at < self._age:
            return store_id in self._known
        if self._lock.acquire(
            blocking=self._known is None
        ):  # while one asks the database, the others go by what is known
            try:
                self._read()
            finally:
                self._lock.release()
        return store_id in (self._known or ())

    def since(self, store_id: str) -> datetime | None:
        """When it began to drain, as the database says now; None: it does not. Raises DatabaseUnavailable."""
        try:
            return datetime.fromisoformat(str(self._database.records.get(COLLECTION, store_id).data["since"]))
        except errors.RecordNotFound:
            return None

    def add(self, store_id: str, at: datetime) -> bool:
        """It drains from ``at``, aware UTC. False when it did so before. Raises DatabaseUnavailable."""
        try:
            self._database.images.commit(RecordAdded(Record(COLLECTION, store_id, {"since": at.isoformat()})))
        except errors.RecordExists:
            return False
        finally:
            self._read_at, self._known = 0.0, None
        return True

    def remove(self, store_id: str) -> bool:
        """It takes data again. False when it did so before. Raises DatabaseUnavailable."""
        try:
            self._database.images.commit(RecordRemoved(self._database.records.get(COLLECTION, store_id)))
        except (errors.RecordNotFound, errors.ConcurrentChange):
            return False
        finally:
            self._read_at, self._known = 0.0, None
        return True

    def _read(self) -> None:
        if self._known is not None and time.monotonic() - self._read_at < self._age:
            return  # somebody else has asked meanwhile
        try:
            self._known = frozenset(x.id for x in self._database.records.find(RecordQuery(COLLECTION, limit=_MOST)))
        except errors.DatabaseUnavailable as exc:
            LOG.debug("which stores drain is not known anew: %s", exc)
            self._known = self._known or frozenset()
        self._read_at = time.monotonic()
