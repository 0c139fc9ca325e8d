"""The places of stores on SQL: a row for each store, and questions about the locations of images."""

from __future__ import annotations

import orjson
from sqlalchemy.exc import IntegrityError

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.ports.place_repository import Place, PlaceRepository, StorePlaces
from glancecore_db_sql.engine import Connections, Session


class SqlPlaces(PlaceRepository):
    def __init__(self, connections: Connections) -> None:
        self._on = connections

    def get(self, store: str) -> StorePlaces | None:
        found = self._on.read(lambda db: db.row("SELECT document FROM store_places WHERE store = ?", store))
        return None if found is None else _decoded(store, found[0])

    def all(self) -> list[StorePlaces]:
        found = self._on.read(lambda db: db.rows("SELECT store, document FROM store_places ORDER BY store"))
        return [_decoded(store, document) for store, document in found]

    def replace(self, store: str, before: StorePlaces | None, after: StorePlaces | None) -> None:
        if before == after:
            return
        old, new = _encoded(before), _encoded(after)

        def work(db: Session) -> None:
            if old is None:
                done = _added(db, store, str(new))
            elif new is None:
                done = db.change("DELETE FROM store_places WHERE store = ? AND document = ?", store, old) == 1
            else:
                done = (
                    db.change("UPDATE store_places SET document = ? WHERE store = ? AND document = ?", new, store, old)
                    == 1
                )
            if not done:
                raise errors.ConcurrentChange(f"the places of store {store} were changed by somebody else meanwhile")

        try:
            self._on.write(work)
        except errors.ConcurrentChange:
            if self.get(store) != after:
                raise

    def needed(self) -> list[str]:
        """One question for each store: an index has them in order."""

        def work(db: Session) -> list[str]:
            found: list[str] = []
            while (
                row := db.row("SELECT MIN(store) FROM image_locations WHERE store > ?", found[-1] if found else "")
            ) and row[0] is not None:
                found.append(str(row[0]))
            return found

        return self._on.read(work)

    def count(self, store: str) -> int:
        found = self._on.read(
            lambda db: db.row("SELECT COUNT(DISTINCT image_id) FROM image_locations WHERE store = ?", store)
        )
        return 0 if found is None else int(found[0])

    def holding(self, store: str, after: str = "", limit: int = 100) -> list[Image]:
        dialect = self._on.dialect
        text = " ".join(
            [
                "SELECT",
                dialect.image(),
                "FROM images i WHERE i.id IN (SELECT image_id FROM (SELECT DISTINCT image_id FROM image_locations",
                "WHERE store = ? AND image_id > ? ORDER BY image_id LIMIT ?) l) ORDER BY i.id",
            ]
        )
        found = self._on.read(lambda db: db.rows(text, store, after, limit))
        return list(dialect.images(found)) if found else []


def _added(db: Session, store: str, document: str) -> bool:
    try:
        db.change("INSERT INTO store_places (store, document) VALUES (?, ?)", store, document)
    except IntegrityError as error:
        raise errors.ConcurrentChange(f"another process has recorded the places of store {store} just now") from error
    return True


def _encoded(record: StorePlaces | None) -> str | None:
    if record is None:
        return None
    return orjson.dumps([{"id": x.id, "addresses": x.addresses} for x in record.places]).decode()


def _decoded(store: str, document: str) -> StorePlaces:
    return StorePlaces(store, tuple(Place(x["id"], tuple(x["addresses"])) for x in orjson.loads(document)))
