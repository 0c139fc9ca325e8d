"""The image repository on SQL: reads are one statement each, writes are ``commit.py``'s."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from glancecore.domain import errors
from glancecore.domain.context import EVERYTHING, Viewer
from glancecore.domain.image import HIDDEN, Image, Status, Visibility
from glancecore.domain.lease import Lease
from glancecore.domain.member import Member
from glancecore.domain.quota import Usage
from glancecore.ports.repository import Change, ImagePage, ImageQuery, ImageRepository
from glancecore_db_sql import commit, query, rows
from glancecore_db_sql.engine import Connections, Session
from glancecore_db_sql.lists import Listing
from glancecore_db_sql.slices import slices

_OPEN = (Visibility.PUBLIC, Visibility.COMMUNITY)


def visible(image: Image, viewer: Viewer) -> bool:
    if image.status in HIDDEN:
        return False
    if viewer.admin or image.visibility in _OPEN or image.as_member is not None:
        return True
    if image.owner is None:
        return image.visibility is not Visibility.PRIVATE
    return image.owner == viewer.project


class SqlImages(ImageRepository):
    def __init__(self, connections: Connections) -> None:
        self._on = connections
        self._dialect = connections.dialect

    # -- images ------------------------------------------------------------------------------------
    def get(self, image_id: str, viewer: Viewer = EVERYTHING) -> Image:
        image = self._on.read(lambda db: self._get(db, image_id, viewer.project))
        if image is None or not visible(image, viewer):
            raise errors.ImageNotFound(f"no image {image_id}")
        return image

    def get_any(self, image_id: str) -> Image:
        image = self._on.read(lambda db: self._get(db, image_id, None))
        if image is None:
            raise errors.ImageNotFound(f"no image {image_id}")
        return image

    def _get(self, db: Session, image_id: str, project: str | None) -> Image | None:
        join, as_member, who = query.viewer_join(project)
        text = " ".join(["SELECT", self._dialect.image(as_member), "FROM images i", join, "WHERE i.id = ?"])
        found = self._dialect.images(db.rows(text, *who, image_id))
        return found[0] if found else None

    def find(self, query: ImageQuery) -> ImagePage:
        return self._on.read(lambda db: self._find(db, query))

    def _find(self, db: Session, wanted: ImageQuery) -> ImagePage:
        marker = None
        if wanted.marker is not None:
            marker = self._get(db, wanted.marker, wanted.viewer.project)
            if marker is None or not visible(marker, wanted.viewer):
                raise errors.UnknownMarker(f"marker {wanted.marker} is no image that you can see")
        return Listing(db, wanted, marker).page() if wanted.limit > 0 and slices(wanted) else ImagePage()

    def versions(self, image_ids: Sequence[str]) -> dict[str, int]:
        if not image_ids:
            return {}
        text = f"SELECT id, version FROM images WHERE id IN ({', '.join('?' * len(image_ids))})"  # noqa: S608 (no value is in it)
        return {image_id: int(version) for image_id, version in self._on.read(lambda db: db.rows(text, *image_ids))}

    def has_name(self, name: str, project: str | None) -> bool:
        own = [self._named("owner", "i.owner = ?")] if project is not None else []
        text = " UNION ALL ".join(
            [
                *own,
                self._named("visibility", "i.visibility = 'public'"),
                self._named("visibility", "i.visibility = 'shared'"),
            ]
        )
        values = [*([project, name] if own else []), name, name]
        return self._on.read(lambda db: db.row(f"{text} LIMIT 1", *values)) is not None

    def _named(self, by: str, condition: str) -> str:
        return " ".join(
            [
                "SELECT 1 FROM images i",
                self._dialect.by_index(f"images_{by}_name"),
                "WHERE",
                condition,
                "AND i.shelf IN (0, 1) AND i.name = ?",
            ]
        )

    def unleased(self, limit: int = 100) -> list[Image]:
        text = " ".join(
            [
                "SELECT",
                self._dialect.image(),
                "FROM images i WHERE i.status IN ('saving', 'importing', 'deleting')",
                "AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.image_id = i.id) ORDER BY i.updated_at, i.id LIMIT ?",
            ]
        )
        return self._dialect.images(self._on.read(lambda db: db.rows(text, limit)))

    def scan(self, statuses: frozenset[Status], after: str = "", limit: int = 100) -> list[Image]:
        # COALESCE keeps the index of the status out: by the primary key, a page costs the same however many images
        # there are
        text = " ".join(
            [
                "SELECT",
                self._dialect.image(),
                "FROM images i WHERE i.id > ? AND COALESCE(i.status, '') IN (",
                ", ".join("?" * len(statuses)),
                ") ORDER BY i.id LIMIT ?",
            ]
        )
        values = (after, *sorted(x.value for x in statuses), limit)
        return self._dialect.images(self._on.read(lambda db: db.rows(text, *values)))

    def pending(self, before: datetime, limit: int = 100) -> list[Image]:
        text = " ".join(
            [
                "SELECT",
                self._dialect.image(),
                "FROM images i WHERE i.status = 'pending_delete' AND i.updated_at < ?",
                "ORDER BY i.updated_at, i.id LIMIT ?",
            ]
        )
        return self._dialect.images(self._on.read(lambda db: db.rows(text, rows.micros(before), limit)))

    def deleted(self, project: str | None, behind: Image | None = None, limit: int = 100) -> list[Image]:
        values: list[object] = [] if project is None else [project]
        where = f"i.owner {'IS NULL' if project is None else '= ?'} AND i.shelf = 2 AND i.status = 'pending_delete'"
        if behind is not None:
            saved, created = rows.micros(behind.updated_at), rows.micros(behind.created_at)
            where += (
                " AND i.updated_at <= ? AND (i.updated_at < ? OR i.created_at < ? OR (i.created_at = ? AND i.id < ?))"
            )
            values += [saved, saved, created, created, behind.id]
        text = " ".join(
            [
                "SELECT",
                self._dialect.image(),
                "FROM images i WHERE",
                where,
                "ORDER BY i.updated_at DESC, i.created_at DESC, i.id DESC LIMIT ?",
            ]
        )
        return self._dialect.images(self._on.read(lambda db: db.rows(text, *values, limit)))

    def commit(self, *changes: Change) -> None:
        if changes:
            self._on.write(lambda db: commit.apply(db, changes))

    # -- members and usage -------------------------------------------------------------------------
    def member(self, image_id: str, member: str) -> Member:
        text = " ".join(["SELECT", rows.MEMBER, "FROM image_members WHERE image_id = ? AND member = ?"])
        found = self._on.read(lambda db: db.row(text, image_id, member))
        if found is None:
            raise commit.no_member(image_id, member)
        return rows.member(found)

    def members(self, image_id: str) -> list[Member]:
        text = " ".join(["SELECT", rows.MEMBER, "FROM image_members WHERE image_id = ? ORDER BY member"])
        return [rows.member(x) for x in self._on.read(lambda db: db.rows(text, image_id))]

    def usage(self, project: str | None) -> Usage:
        return self._on.read(lambda db: commit.usage(db, project))

    def projects(self) -> list[str | None]:
        text = (
            "SELECT project FROM project_usage UNION SELECT COALESCE(owner, '') FROM images WHERE id <> '' ORDER BY 1"
        )
        return [project or None for (project,) in self._on.read(lambda db: db.rows(text))]

    def recount(self, project: str | None, *, mend: bool) -> tuple[Usage, Usage]:
        return self._on.write(lambda db: commit.recount(db, project, mend=mend))

    def located(self, url: str) -> list[str]:
        text = "SELECT DISTINCT image_id FROM image_locations WHERE url = ? ORDER BY image_id"
        return [id_ for (id_,) in self._on.read(lambda db: db.rows(text, rows.place(url)))]

    # -- leases ------------------------------------------------------------------------------------
    def lease(self, image_id: str) -> Lease | None:
        text = " ".join(["SELECT", rows.LEASE, "FROM leases WHERE image_id = ?"])
        found = self._on.read(lambda db: db.row(text, image_id))
        return None if found is None else rows.lease(found)

    def extend(self, holder: str, ttl: float) -> frozenset[str]:
        later = " ".join(["UPDATE leases SET expires_at =", self._dialect.now, "+ ? WHERE holder = ?"])

        def work(db: Session) -> frozenset[str]:
            db.change(later, int(ttl * 1_000_000), holder)
            return frozenset(token for (token,) in db.rows("SELECT token FROM leases WHERE holder = ?", holder))

        return self._on.write(work)

    def leases(self, after: str = "", limit: int = 100) -> list[Lease]:
        text = " ".join(["SELECT", rows.LEASE, "FROM leases WHERE image_id > ? ORDER BY image_id LIMIT ?"])
        return [rows.lease(x) for x in self._on.read(lambda db: db.rows(text, after, limit))]

    def expired(self, limit: int = 100) -> list[Lease]:
        text = " ".join(
            [
                "SELECT",
                rows.LEASE,
                "FROM leases WHERE expires_at <",
                self._dialect.now,
                "ORDER BY expires_at, image_id LIMIT ?",
            ]
        )
        return [rows.lease(x) for x in self._on.read(lambda db: db.rows(text, limit))]
