"""All changes of one commit, within one transaction. A failed condition raises, and everything is rolled back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from sqlalchemy.exc import IntegrityError

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.domain.lease import Lease
from glancecore.domain.quota import Usage, exceeded, weigh
from glancecore.ports import repository as port
from glancecore.ports.outbox_repository import EventsRecorded
from glancecore.ports.record_repository import RecordAdded, RecordChanged, RecordRemoved
from glancecore.ports.task_repository import TaskAdded, TaskChanged
from glancecore_db_sql import outbox, records, rows
from glancecore_db_sql.engine import Session

_ADD_IMAGE = " ".join(
    ["INSERT INTO images (", ", ".join(rows.COLUMNS), ") VALUES (", ", ".join("?" * len(rows.COLUMNS)), ")"]
)
_ADD_TASK = " ".join(["INSERT INTO tasks (", rows.TASK, ") VALUES (", ", ".join("?" * len(rows.TASK_COLUMNS)), ")"])
_USAGE = (
    "SELECT COALESCE(SUM(bytes), 0), COALESCE(SUM(staged_bytes), 0), COALESCE(SUM(images), 0), COALESCE(SUM(uploading),"
    " 0), COALESCE(SUM(metadata_bytes), 0), (SELECT COALESCE(SUM(reserved), 0) FROM leases WHERE project = ?) FROM"
    " project_usage WHERE project = ?"
)


def usage(db: Session, project: str | None) -> Usage:
    key = project or ""
    found = db.rows(_USAGE, key, key)[0]
    stored, staged, images, uploading, metadata, reserved = map(int, found)
    return Usage(stored + reserved, staged, images, uploading, metadata)


#: Images that are weighed at once.
_PAGE = 1000


def recount(db: Session, project: str | None, *, mend: bool) -> tuple[Usage, Usage]:
    """The counter's row is locked first, as every commit does that changes a usage, so nothing that matters is
    committed meanwhile."""
    _count(db, project, Usage())
    kept = Usage(
        *map(
            int,
            db.rows(
                "SELECT bytes, staged_bytes, images, uploading, metadata_bytes FROM project_usage WHERE project = ?",
                project or "",
            )[0],
        )
    )
    owned, values = ("i.owner IS NULL", ()) if project is None else ("i.owner = ?", (project,))
    text = " ".join(["SELECT", db.dialect.image(), "FROM images i WHERE", owned, "AND i.id > ? ORDER BY i.id LIMIT ?"])
    true, after = Usage(), ""
    while page := db.dialect.images(db.rows(text, *values, after, _PAGE)):
        true = sum(map(weigh, page), true)
        after = page[-1].id
    if mend and kept != true:
        _count(db, project, true + -kept)
    return kept, true


def _count(db: Session, project: str | None, add: Usage) -> None:
    db.change(
        db.dialect.count, project or "", add.bytes, add.staged_bytes, add.images, add.uploading, add.metadata_bytes
    )


def apply(db: Session, changes: Sequence[port.Change]) -> None:
    Commit(db).apply(changes)


class Commit:
    def __init__(self, db: Session) -> None:
        self.db = db
        self.added: defaultdict[str | None, Usage] = defaultdict(Usage)
        self.limits: list[port.WithinLimits] = []

    def apply(self, changes: Sequence[port.Change]) -> None:
        for change in changes:
            _APPLY[type(change)](self, change)
        # Last, so that a project's counters are locked for a moment only; sorted, so that two commits don't deadlock.
        judged = {x.project for x in self.limits}
        for project in sorted({*self.added, *judged}, key=lambda x: x or ""):
            add = self.added[project]
            if add != Usage() or project in judged:
                _count(self.db, project, add)
        for wanted in self.limits:
            self._judge(wanted)

    def _judge(self, wanted: port.WithinLimits) -> None:
        used = usage(self.db, wanted.project)
        name = exceeded(used, wanted.limits)
        if name is not None:
            amount, limit = {
                "image_size_total": (used.bytes, wanted.limits.bytes),
                "image_stage_total": (used.staged_bytes, wanted.limits.staged_bytes),
                "image_count_total": (used.images, wanted.limits.images),
                "image_count_uploading": (used.uploading, wanted.limits.uploading),
                "image_metadata_total": (used.metadata_bytes, wanted.limits.metadata_bytes),
            }[name]
            raise errors.QuotaExceeded(f"quota {name} exceeded: this would make {amount}, the limit is {limit}")

    # -- images ------------------------------------------------------------------------------------
    def add_image(self, change: port.ImageAdded) -> None:
        image = change.image
        try:
            self.db.change(_ADD_IMAGE, *rows.encode(image))
        except IntegrityError as error:
            raise _exists(image.id) from error
        # After the insert: a removal of the same id that it had to wait for is visible now.
        if self.db.row("SELECT 1 FROM removed_images WHERE id = ?", image.id):
            raise _exists(image.id)
        self._add_facets(image, rows.facets(image))
        self._add_places(image, rows.places(image))
        self.added[image.owner] += weigh(image)

    def change_image(self, change: port.ImageChanged) -> None:
        before, after = change.before, change.after
        if (after.id, after.created_at, after.version) != (before.id, before.created_at, before.version + 1):
            raise ValueError("after must be the next version of before, with its id and created_at")
        new = [
            (name, value)
            for name, was, value in zip(rows.COLUMNS, rows.encode(before), rows.encode(after), strict=True)
            if value != was
        ]
        text = " ".join(
            ["UPDATE images SET", ", ".join([f"{name} = ?" for name, _ in new]), "WHERE id = ? AND version = ?"]
        )
        if not self.db.change(text, *(value for _, value in new), before.id, before.version):
            if self.db.row("SELECT 1 FROM images WHERE id = ?", before.id):
                raise errors.ConcurrentChange(f"image {before.id} was changed by somebody else meanwhile")
            raise _no_image(before.id)
        if rows.shared_shelf(before) != rows.shared_shelf(after):
            self.db.change(
                "UPDATE image_members SET image_shelf = ? WHERE image_id = ?", rows.shared_shelf(after), after.id
            )
        self._move_facets(before, after)
        self._move_places(before, after)
        self.added[before.owner] += -weigh(before)
        self.added[after.owner] += weigh(after)

    def remove_image(self, change: port.ImageRemoved) -> None:
        id_ = change.image.id
        db = self.db
        # What is stored now counts: the version is not compared.
        text = " ".join(["SELECT", db.dialect.image(), "FROM images i WHERE i.id = ?", db.dialect.for_update])
        found = db.rows(text, id_)
        if not found:
            raise _no_image(id_)
        (stored,) = db.dialect.images(found)
        # Facets, places and members go with it, by their foreign keys.
        db.change("DELETE FROM images WHERE id = ?", id_)
        db.change(
            "INSERT INTO removed_images (id, removed_at, owner) VALUES (?, ?, ?)",
            id_,
            rows.micros(change.at),
            stored.owner,
        )
        self.added[stored.owner] += -weigh(stored)

    # -- indexes beside the images -----------------------------------------------------------------
    def _move_facets(self, before: Image, after: Image) -> None:
        old, new = rows.facets(before), rows.facets(after)
        gone = sorted(old - new)
        if gone:
            self.db.change(
                " ".join(
                    ["DELETE FROM image_facets WHERE image_id = ? AND facet IN (", ", ".join("?" * len(gone)), ")"]
                ),
                after.id,
                *gone,
            )
        was = (before.owner, before.visibility.value, rows.shelf(before))
        now = (after.owner, after.visibility.value, rows.shelf(after))
        if was != now and old & new:
            self.db.change(
                "UPDATE image_facets SET owner = ?, visibility = ?, shelf = ? WHERE image_id = ?", *now, after.id
            )
        self._add_facets(after, new - old)

    def _add_facets(self, image: Image, facets: frozenset[str]) -> None:
        rest = (image.owner, image.visibility.value, rows.shelf(image), rows.micros(image.created_at))
        self._insert(
            "image_facets (image_id, facet, owner, visibility, shelf, created_at)",
            [(image.id, x, *rest) for x in sorted(facets)],
        )

    def _move_places(self, before: Image, after: Image) -> None:
        if before.locations == after.locations:
            return
        old, new = rows.places(before), rows.places(after)
        for url, store in sorted(old - new):
            self.db.change(
                "DELETE FROM image_locations WHERE url = ? AND image_id = ? AND store = ?", url, after.id, store
            )
        self._add_places(after, new - old)

    def _add_places(self, image: Image, places: frozenset[tuple[str, str]]) -> None:
        self._insert(
            "image_locations (url, image_id, store)", [(url, image.id, store) for url, store in sorted(places)]
        )

    def _insert(self, into: str, values: Sequence[rows.Row]) -> None:
        # SQLite takes 32,766 parameters a statement; 128 tags and 128 properties are 1,536.
        for start in range(0, len(values), 1000):
            part = values[start : start + 1000]
            one = f"({', '.join('?' * len(part[0]))})"
            self.db.change(
                " ".join(["INSERT INTO", into, "VALUES", ", ".join([one] * len(part))]),
                *(x for row in part for x in row),
            )

    # -- members -----------------------------------------------------------------------------------
    def add_member(self, change: port.MemberAdded) -> None:
        new = change.member
        # Locked: two additions to one image are judged one after the other.
        text = "SELECT created_at, CASE WHEN visibility = 'shared' THEN shelf ELSE 2 END FROM images WHERE id = ?"
        image = self.db.row(" ".join([text, self.db.dialect.for_update]), new.image_id)
        if image is None:
            raise _no_image(new.image_id)
        try:
            self.db.change(
                "INSERT INTO image_members (image_id, member, status, image_created_at, image_shelf, created_at,"
                " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                new.image_id,
                new.member,
                new.status.value,
                *image,
                rows.micros(new.created_at),
                rows.micros(new.updated_at),
            )
        except IntegrityError as error:
            raise errors.MemberExists(f"{new.member} is a member of image {new.image_id} already") from error
        if change.limit is not None:
            ((count,),) = self.db.rows("SELECT COUNT(*) FROM image_members WHERE image_id = ?", new.image_id)
            if count > change.limit:
                raise errors.QuotaExceeded(
                    f"image {new.image_id} can't have more members: this would make {count}, the limit is"
                    f" {change.limit}"
                )

    def change_member(self, change: port.MemberChanged) -> None:
        new = change.member
        if not self.db.change(
            "UPDATE image_members SET status = ?, updated_at = ? WHERE image_id = ? AND member = ?",
            new.status.value,
            rows.micros(new.updated_at),
            new.image_id,
            new.member,
        ):
            raise no_member(new.image_id, new.member)

    def remove_member(self, change: port.MemberRemoved) -> None:
        if not self.db.change(
            "DELETE FROM image_members WHERE image_id = ? AND member = ?", change.image_id, change.member
        ):
            raise no_member(change.image_id, change.member)

    # -- leases ------------------------------------------------------------------------------------
    def take_lease(self, change: port.LeaseTaken) -> None:
        lease = change.lease
        lasts = int(change.ttl * 1_000_000)
        values = (
            lease.token,
            lease.holder,
            str(lease.operation),
            lease.stable.value,
            lease.project or "",
            rows.blob_list(lease.blobs),
            lease.reserved,
            lasts,
        )
        if change.replacing is None:
            text = " ".join(
                [
                    (
                        "INSERT INTO leases (token, holder, operation, stable, project, blobs, reserved, expires_at,"
                        " image_id)"
                    ),
                    "VALUES (?, ?, ?, ?, ?, ?, ?,",
                    self.db.dialect.now,
                    "+ ?, ?)",
                ]
            )
            try:
                self.db.change(text, *values, lease.image_id)
            except IntegrityError as error:
                raise errors.ImageBusy(f"another operation is working on image {lease.image_id}") from error
            return
        text = " ".join(
            [
                (
                    "UPDATE leases SET token = ?, holder = ?, operation = ?, stable = ?, project = ?, blobs = ?,"
                    " reserved = ?,"
                ),
                "expires_at =",
                self.db.dialect.now,
                "+ ? WHERE image_id = ? AND token = ?",
            ]
        )
        if not self.db.change(text, *values, lease.image_id, change.replacing):
            raise _lost(lease)

    def change_lease(self, change: port.LeaseChanged) -> None:
        lease = change.lease
        if not self.db.change(
            "UPDATE leases SET blobs = ?, reserved = ?, stable = ? WHERE image_id = ? AND token = ?",
            rows.blob_list(lease.blobs),
            lease.reserved,
            lease.stable.value,
            lease.image_id,
            lease.token,
        ):
            raise _lost(lease)

    def end_lease(self, change: port.LeaseEnded) -> None:
        lease = change.lease
        if not self.db.change("DELETE FROM leases WHERE image_id = ? AND token = ?", lease.image_id, lease.token):
            raise _lost(lease)

    # -- tasks -------------------------------------------------------------------------------------
    def add_task(self, change: TaskAdded) -> None:
        try:
            self.db.change(_ADD_TASK, *rows.encode_task(change.task))
        except IntegrityError as error:
            raise errors.TaskExists(f"task id {change.task.id} is in use") from error

    def change_task(self, change: TaskChanged) -> None:
        before, after = change.before, change.after
        if (after.id, after.type, after.created_at, after.version) != (
            before.id,
            before.type,
            before.created_at,
            before.version + 1,
        ):
            raise ValueError("after must be the next version of before, with its id, type and created_at")
        new = [
            (name, value)
            for name, was, value in zip(
                rows.TASK_COLUMNS, rows.encode_task(before), rows.encode_task(after), strict=True
            )
            if value != was
        ]
        text = " ".join(
            ["UPDATE tasks SET", ", ".join([f"{name} = ?" for name, _ in new]), "WHERE id = ? AND version = ?"]
        )
        if not self.db.change(text, *(value for _, value in new), before.id, before.version):
            if self.db.row("SELECT 1 FROM tasks WHERE id = ?", before.id):
                raise errors.ConcurrentChange(f"task {before.id} was changed by somebody else meanwhile")
            raise errors.TaskNotFound(f"no task {before.id}")

    def record(self, change: EventsRecorded) -> None:
        outbox.record(self.db, change)

    # -- records -----------------------------------------------------------------------------------
    def add_record(self, change: RecordAdded) -> None:
        records.add(self.db, change)

    def change_record(self, change: RecordChanged) -> None:
        records.alter(self.db, change)

    def remove_record(self, change: RecordRemoved) -> None:
        records.remove(self.db, change)

    def limit(self, change: port.WithinLimits) -> None:
        self.limits.append(change)


def _exists(image_id: str) -> errors.ImageExists:
    return errors.ImageExists(f"image id {image_id} is or was in use")


def _no_image(image_id: str) -> errors.ImageNotFound:
    return errors.ImageNotFound(f"no image {image_id}")


def no_member(image_id: str, member: str) -> errors.MemberNotFound:
    return errors.MemberNotFound(f"{member} is no member of image {image_id}")


def _lost(lease: Lease) -> errors.LeaseLost:
    return errors.LeaseLost(f"the {lease.operation!s} no longer holds image {lease.image_id}")


_APPLY: dict[type[port.Change], Callable[..., None]] = {
    port.ImageAdded: Commit.add_image,
    port.ImageChanged: Commit.change_image,
    port.ImageRemoved: Commit.remove_image,
    port.MemberAdded: Commit.add_member,
    port.MemberChanged: Commit.change_member,
    port.MemberRemoved: Commit.remove_member,
    port.LeaseTaken: Commit.take_lease,
    port.LeaseChanged: Commit.change_lease,
    port.LeaseEnded: Commit.end_lease,
    port.WithinLimits: Commit.limit,
    TaskAdded: Commit.add_task,
    TaskChanged: Commit.change_task,
    EventsRecorded: Commit.record,
    RecordAdded: Commit.add_record,
    RecordChanged: Commit.change_record,
    RecordRemoved: Commit.remove_record,
}
