"""Which node has which image in its cache, on SQL. The rows of an image go with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy.exc import IntegrityError

from glancecore.domain import errors
from glancecore.ports.cached_repository import CachedRepository
from glancecore_db_sql.engine import Connections, Session

_ADD = ("INSERT INTO cached_images (image_id, node) SELECT id, ? FROM images WHERE id = ? "
        "AND NOT EXISTS (SELECT 1 FROM cached_images c WHERE c.image_id = images.id AND c.node = ?)")
#: How often it is tried again when somebody else says the same at the same time.
_TRIES = 5


class SqlCached(CachedRepository):
    def __init__(self, connections: Connections) -> None:
        self._on = connections

    def hold(self, image_id: str, node: str) -> None:
        self._write(node, [], [image_id])

    def replace(self, node: str, image_ids: Collection[str]) -> None:
        known = {x for x, in self._on.read(lambda db: db.rows("SELECT image_id FROM cached_images WHERE node = ?", node))}
        wanted = set(image_ids)
        if known != wanted:
            self._write(node, sorted(known - wanted), sorted(wanted - known))

    def nodes(self, image_id: str) -> list[str]:
        found = self._on.read(lambda db: db.rows("SELECT node FROM cached_images WHERE image_id = ? ORDER BY node", image_id))
        return [str(node) for node, in found]

    def _write(self, node: str, lost: Iterable[str], held: Iterable[str]) -> None:
        def work(db: Session) -> None:
            for image_id in lost:
                db.change("DELETE FROM cached_images WHERE image_id = ? AND node = ?", image_id, node)
            for image_id in held:
                try:
                    db.change(_ADD, node, image_id, node)
                except IntegrityError as error:
                    raise errors.ConcurrentChange("another process says the same just now") from error

        for _ in range(_TRIES - 1):
            try:
                return self._on.write(work)
            except errors.ConcurrentChange:
                continue
        return self._on.write(work)
