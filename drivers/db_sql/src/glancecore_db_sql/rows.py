"""Images and leases as rows, and back. Times are microseconds since 1970; ids of projects are '' for none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson

from glancecore.domain.image import HIDDEN, Image, Location, LocationStatus, Status, Visibility
from glancecore.domain.lease import BlobRef, Lease
from glancecore.domain.member import Member, MemberStatus
from glancecore.domain.staged import Digests, ImportCheckpoint, Importing, InspectionVerdict, Staged
from glancecore.domain.task import Copy, CopyState, Progress, Task, TaskStatus, TaskType

Row = tuple[Any, ...]

SCALARS = (
    "id",
    "created_at",
    "updated_at",
    "name",
    "owner",
    "status",
    "visibility",
    "protected",
    "hidden",
    "container_format",
    "disk_format",
    "min_ram",
    "min_disk",
    "size",
    "virtual_size",
    "checksum",
    "hash_algo",
    "hash_value",
    "version",
    "attempt",
    "fault",
    "import_state",
)
#: JSON texts: they are read and written whole.
DOCUMENTS = ("tags", "properties", "locations")
COLUMNS = (*SCALARS, *DOCUMENTS, "shelf")
#: What rows are asked, in the indexes by created_at behind their keys: to look that up in the table would cost ten
#: times as much. As many as the 3,072 bytes of MySQL's keys take.
COVERED = (
    "visibility",
    "updated_at",
    "name",
    "status",
    "disk_format",
    "container_format",
    "size",
    "virtual_size",
    "min_ram",
    "min_disk",
    "protected",
)
MEMBER = "image_id, member, status, created_at, updated_at"
TASK_COLUMNS = (
    "id",
    "type",
    "status",
    "owner",
    "image_id",
    "user_id",
    "request_id",
    "created_at",
    "updated_at",
    "expires_at",
    "kept_until",
    "version",
    "document",
)
TASK = ", ".join(TASK_COLUMNS)
LEASE = "image_id, operation, holder, stable, project, blobs, reserved, token"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STATUS = {x.value: x for x in Status}
_LOCATION = {x.value: x for x in LocationStatus}
_VISIBILITY = {x.value: x for x in Visibility}


def micros(when: datetime) -> int:
    return (when - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


def shelf(image: Image) -> int:
    """Which lists an image can be in: 0 the usual ones, 1 those of os_hidden images, 2 none.

    One column for both conditions that every list has, so that each list is one range of an index.
    """
    return 2 if image.status in HIDDEN else int(image.hidden)


def shared_shelf(image: Image) -> int:
    """The same of lists of its members: they see it while it is shared."""
    return shelf(image) if image.visibility is Visibility.SHARED else 2


# -- images ----------------------------------------------------------------------------------------
def encode(image: Image) -> Row:
    """In the order of COLUMNS."""
    return (
        image.id,
        micros(image.created_at),
        micros(image.updated_at),
        image.name,
        image.owner,
        image.status.value,
        image.visibility.value,
        int(image.protected),
        int(image.hidden),
        image.container_format,
        image.disk_format,
        image.min_ram,
        image.min_disk,
        image.size,
        image.virtual_size,
        image.checksum,
        image.hash_algo,
        image.hash_value,
        image.version,
        image.attempt,
        image.last_error,
        import_state(image),
        _json(image.tags),
        _json(dict(image.properties)),
        _json(
            [
                {
                    "url": x.url,
                    "store": x.store,
                    "metadata": dict(x.metadata),
                    "status": x.status.value,
                    **({"damaged": True} if x.damaged else {}),
                }
                for x in image.locations
            ]
        )
        if image.locations
        else "[]",
        shelf(image),
    )


def decode(
    scalars: Sequence[Any], tags: list[str], properties: dict[str, str | None], locations: list[dict[str, Any]]
) -> Image:
    """Of SCALARS with ``as_member``, and the parsed DOCUMENTS. By position: this runs a thousand times for a full
    page."""
    (
        id_,
        created,
        updated,
        name,
        owner,
        status,
        visibility,
        protected,
        hidden,
        container_format,
        disk_format,
        min_ram,
        min_disk,
        size,
        virtual_size,
        checksum,
        hash_algo,
        hash_value,
        version,
        attempt,
        fault,
        state,
        as_member,
    ) = scalars
    staged, importing, was, unproved = (None, None, None, False) if state is None else _import_state(state)
    return Image(
        id_,
        moment(created),
        moment(updated),
        name,
        owner,
        _STATUS[status],
        _VISIBILITY[visibility],
        protected == 1,
        hidden == 1,
        container_format,
        disk_format,
        min_ram,
        min_disk,
        size,
        virtual_size,
        checksum,
        hash_algo,
        hash_value,
        tuple(tags),
        properties,
        tuple(
            [Location(x["url"], x["store"], x["metadata"], _LOCATION[x["status"]], "damaged" in x) for x in locations]
        ),
        version,
        attempt,
        fault,
        staged,
        importing,
        was,
        unproved,
        as_member,
    )


def import_state(image: Image) -> str | None:
    """A JSON text of what an import, a postponed deletion, or data that nobody has read yet keeps with its image; null
    for the many that have to do with none."""
    if image.staged is None and image.importing is None and image.status_before_delete is None and not image.unproved:
        return None
    return _json(
        {
            "staged": image.staged,
            "importing": image.importing,
            "was": image.status_before_delete,
            **({"unproved": True} if image.unproved else {}),
        }
    )


def _import_state(text: str) -> tuple[Staged | None, Importing | None, Status | None, bool]:
    found = orjson.loads(text)
    staged, importing, was = found["staged"], found["importing"], found.get("was")
    staged = None if staged is None else _staged(staged)
    if importing is not None:
        importing = Importing(
            importing["task"],
            tuple(importing["stores_left"]),
            tuple(importing["stores_failed"]),
            tuple(importing["formats"]),
            tuple((x, y) for x, y in importing["properties"]),
        )
    return staged, importing, None if was is None else Status(was), "unproved" in found


def _staged(found: dict[str, Any]) -> Staged:
    verdict, worked = found["verdict"], found.get("worked")  # and below: rows that are older than these fields
    if worked is not None:
        worked = ImportCheckpoint(
            tuple(worked["steps"]), tuple(worked["formats"]), tuple((x, y) for x, y in worked["properties"])
        )
    return Staged(
        found["store"],
        found["key"],
        found["url"],
        Digests(**found["digests"]),
        None if verdict is None else InspectionVerdict(**verdict),
        found.get("original", True),
        found.get("arrived", {}),
        worked,
    )


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


# -- facets: what images are found by --------------------------------------------------------------
def tag_facet(tag: str) -> str:
    return _digest(f"t\0{tag}")


def property_facet(name: str, value: str) -> str:
    return _digest(f"p\0{name}\0{value}")


def hash_facet(column: str, value: str) -> str:
    """``column``: checksum or hash_value."""
    return _digest(f"h\0{column}\0{value}")


def facets(image: Image) -> frozenset[str]:
    found = {tag_facet(x) for x in image.tags}
    found.update(property_facet(name, value) for name, value in image.properties.items() if value is not None)
    if image.checksum is not None:
        found.add(hash_facet("checksum", image.checksum))
    if image.hash_value is not None:
        found.add(hash_facet("hash_value", image.hash_value))
    return frozenset(found)


def places(image: Image) -> frozenset[tuple[str, str]]:
    """Digest of the URL (it may hold credentials, and be too long for an index) and the store of each location."""
    return frozenset((place(x.url), x.store) for x in image.locations)


def place(url: str) -> str:
    return _digest(url)


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


# -- members and leases ----------------------------------------------------------------------------
def member(row: Row) -> Member:
    """Of the columns MEMBER."""
    image_id, project, status, created, updated = row
    return Member(image_id, project, MemberStatus(status), moment(created), moment(updated))


def lease(row: Row) -> Lease:
    """Of the columns LEASE."""
    image_id, operation, holder, stable, project, blobs, reserved, token = row
    return Lease(
        image_id,
        operation,
        holder,
        Status(stable),
        project or None,
        tuple(BlobRef(*x) for x in orjson.loads(blobs)),
        reserved,
        token,
    )


def blob_list(blobs: Iterable[BlobRef]) -> str:
    return _json([(x.store, x.key) if x.owner is None else (x.store, x.key, x.owner) for x in blobs])


# -- tasks -----------------------------------------------------------------------------------------
def encode_task(task: Task) -> Row:
    """In the order of TASK_COLUMNS: what tasks are found by, and all else in one document."""
    document = {
        "input": task.input,
        "result": task.result,
        "message": task.message,
        "error": task.error,
        "progress": task.progress,
        "cancelled": task.cancelled,
        "secrets": task.secrets,
        "kept": task.kept,
        **({"trace": task.trace} if task.trace else {}),
    }
    return (
        task.id,
        task.type.value,
        task.status.value,
        task.owner,
        task.image_id,
        task.user_id,
        task.request_id,
        micros(task.created_at),
        micros(task.updated_at),
        None if task.expires_at is None else micros(task.expires_at),
        None if task.kept_until is None else micros(task.kept_until),
        task.version,
        _json(document),
    )


def task(row: Row) -> Task:
    """Of the columns TASK."""
    (
        id_,
        type_,
        status,
        owner,
        image_id,
        user_id,
        request_id,
        created,
        updated,
        expires,
        kept_until,
        version,
        document,
    ) = row
    found = orjson.loads(document)
    progress, kept = found.pop("progress"), found.pop("kept", None)
    copies = tuple(Copy(x["store"], CopyState(x["state"]), x["bytes"], x["error"]) for x in progress.pop("copies"))
    return Task(
        id_,
        TaskType(type_),
        moment(created),
        moment(updated),
        TaskStatus(status),
        owner,
        image_id,
        user_id,
        request_id,
        expires_at=None if expires is None else moment(expires),
        kept=None if kept is None else _staged(kept),
        kept_until=None if kept_until is None else moment(kept_until),
        version=version,
        progress=Progress(**progress, copies=copies),
        **found,
    )
