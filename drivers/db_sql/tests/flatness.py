"""Does each call cost the same whatever the number of images? Not a test: prints a table.

    python flatness.py URL [IMAGES…]      (default 1000 1000000; the database is filled up from one size to the next)

The images: 5 properties, 3 tags of small vocabularies, 200 projects and a large one, which has 1 in 8; 1 in 50 public,
1 in 50 community, 1 in 10 shared (half of these with a member), the others private; 1 in 100 os_hidden. One property is
unlike any other's."""

from __future__ import annotations

import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from glancecore_db_sql import rows
from glancecore_db_sql.dialects import Dialect
from glancecore_db_sql.driver import SqlDatabase
from glancecore_db_sql.engine import Session
from glancecore_db_sql.options import OPTIONS

from glancecore.domain.context import Viewer
from glancecore.domain.image import Image, Status, Visibility
from glancecore.domain.member import MemberStatus
from glancecore.domain.quota import weigh
from glancecore.ports.repository import ImageAdded, ImageChanged, ImageQuery, ImageRemoved, Sort, SortField
from glancecore.testing.examples import START, after, make_image, make_location, saved
from glancecore.testing.settings import make_section

PROJECTS, BATCH = 200, 500
LARGE = "large"
TABLES = {
    "images": ", ".join(rows.COLUMNS),
    "image_facets": "image_id, facet, owner, visibility, shelf, created_at",
    "image_locations": "url, image_id, store",
    "image_members": "image_id, member, status, image_created_at, image_shelf, created_at, updated_at",
}


def made(number: int) -> Image:
    rng = random.Random(number)
    draw = rng.random()
    visibility = (
        Visibility.PUBLIC
        if draw < 0.02
        else Visibility.COMMUNITY
        if draw < 0.04
        else Visibility.SHARED
        if draw < 0.14
        else Visibility.PRIVATE
    )
    image_id = str(uuid.UUID(int=rng.getrandbits(128)))
    return make_image(
        number,
        id=image_id,
        name=f"image-{rng.randrange(5000)}",
        owner=LARGE if number % 8 == 1 else f"project-{number % PROJECTS}",
        status=Status.ACTIVE,
        visibility=visibility,
        hidden=rng.random() < 0.01,
        disk_format=rng.choice(("raw", "qcow2", "iso")),
        container_format="bare",
        size=rng.randrange(2**40),
        checksum=f"{rng.getrandbits(128):032x}",
        hash_algo="sha512",
        hash_value=f"{rng.getrandbits(512):0128x}",
        locations=(make_location(image_id),),
        tags=tuple(f"tag-{n}-{rng.randrange(20)}" for n in range(3)),
        properties={**{f"property-{n}": f"value-{rng.randrange(20)}" for n in range(4)}, "serial": str(number)},
        updated_at=after(number + rng.randrange(1000)),
    )


def records(image: Image, number: int) -> Iterator[tuple[str, rows.Row]]:
    created = rows.micros(image.created_at)
    yield "images", rows.encode(image)
    for facet in rows.facets(image):
        yield "image_facets", (image.id, facet, image.owner, image.visibility.value, rows.shelf(image), created)
    for url, store in rows.places(image):
        yield "image_locations", (url, image.id, store)
    if image.visibility is Visibility.SHARED and number % 2:
        status = (MemberStatus.ACCEPTED, MemberStatus.PENDING)[number % 3 == 0]
        member = LARGE if number % 5 == 0 else f"project-{(number * 7 + 1) % PROJECTS}"
        yield "image_members", (image.id, member, status.value, created, rows.shared_shelf(image), created, created)


def fill(database: SqlDatabase, start: int, end: int) -> None:
    def work(db: Session, first: int) -> None:
        batch: dict[str, list[rows.Row]] = {name: [] for name in TABLES}
        usage: dict[str | None, list[int]] = {}
        for number in range(first, min(first + BATCH, end)):
            image = made(number)
            for table, record in records(image, number):
                batch[table].append(record)
            total = usage.setdefault(image.owner, [0, 0])
            total[0] += weigh(image).bytes
            total[1] += 1
        for table, found in batch.items():
            for n in range(0, len(found), 1000):
                part = found[n : n + 1000]
                marks = f"({', '.join('?' * len(part[0]))})" if part else ""
                text = f"INSERT INTO {table} ({TABLES[table]}) VALUES {', '.join([marks] * len(part))}"
                db.change(text, *(x for record in part for x in record))
        for project, (size, count) in usage.items():
            db.change(db.dialect.count, project, size, 0, count, 0, 0)

    for first in range(start, end, BATCH):
        database.connections.write(partial(work, first=first))


def multiply(database: SqlDatabase, base: int, end: int) -> None:
    """Copies of the first ``base`` images, each time younger by all of them: many images in a tenth of the time."""
    images = ", ".join(
        {"id": "c.new", "created_at": "i.created_at + ?", "updated_at": "i.updated_at + ?"}.get(x, f"i.{x}")
        for x in rows.COLUMNS
    )
    texts = [
        f"INSERT INTO images ({TABLES['images']}) SELECT {images} FROM copies c JOIN images i ON i.id = c.old",
        (
            f"INSERT INTO image_facets ({TABLES['image_facets']}) SELECT c.new, f.facet, f.owner, f.visibility,"
            " f.shelf, f.created_at + ? FROM copies c JOIN image_facets f ON f.image_id = c.old"
        ),
        (
            f"INSERT INTO image_members ({TABLES['image_members']}) SELECT c.new, m.member, m.status,"
            " m.image_created_at + ?, m.image_shelf, m.created_at, m.updated_at FROM copies c JOIN image_members m ON"
            " m.image_id = c.old"
        ),
    ]

    def work(db: Session, old: list[str], shift: int) -> None:
        db.change("DELETE FROM copies")
        for n in range(0, len(old), 1000):
            pairs = [(x, str(uuid.uuid4())) for x in old[n : n + 1000]]
            db.change(
                f"INSERT INTO copies (old, new) VALUES {', '.join(['(?, ?)'] * len(pairs))}",
                *(y for x in pairs for y in x),
            )
        for text in texts:
            db.change(text, *[shift] * text.count("?"))

    def known(db: Session) -> list[str]:
        if db.dialect.name == "sqlite":
            db.change("PRAGMA cache_size = -400000")
        db.change("DROP TABLE IF EXISTS copies")
        db.change("CREATE TABLE copies AS SELECT id AS old, id AS new FROM images WHERE id = ''")
        return [x for (x,) in db.rows("SELECT id FROM images ORDER BY created_at, id LIMIT ?", base)]

    old = database.connections.write(known)
    filled = database.connections.read(lambda db: int(db.rows("SELECT COUNT(*) FROM images")[0][0]))
    for start in range(filled, end, base):
        database.connections.write(partial(work, old=old[: end - start], shift=start * 1_000_000))
    database.connections.write(lambda db: db.change("DROP TABLE copies"))


def refresh(database: SqlDatabase, dialect: Dialect) -> None:
    """What the databases do by themselves after a while."""
    for table in TABLES:
        if dialect.name != "sqlite":
            text = {"mysql": f"ANALYZE TABLE {table}", "postgresql": f"VACUUM ANALYZE {table}"}[dialect.name]
            database.connections.read(partial(Session.change, text=text))


def calls(database: SqlDatabase, count: int) -> dict[str, Callable[[], object]]:
    images = database.images
    me, friend, admin = Viewer("project-7"), Viewer("project-8"), Viewer("project-9", admin=True)
    some = [made(n).id for n in range(0, count, max(1, count // 97))]
    old = (
        images.find(
            ImageQuery(
                admin,
                all_visible=True,
                sort=(Sort(SortField.CREATED_AT, False), Sort(SortField.ID, False)),
                limit=count // 2 % 1000 + 1,
            )
        )
        .images[-1]
        .id
    )
    deep = made(count // 3).id
    by_name = (Sort(SortField.NAME, False), Sort(SortField.CREATED_AT, False), Sort(SortField.ID, False))
    by_update = (Sort(SortField.UPDATED_AT), Sort(SortField.CREATED_AT), Sort(SortField.ID))
    fresh = iter(range(10**9, 10**9 + 10**6))

    def create() -> Image:
        image = replace(made(next(fresh)), id=str(uuid.uuid4()), status=Status.QUEUED, locations=())
        images.commit(ImageAdded(image))
        return image

    def cycle() -> None:
        image = create()
        changed = saved(image, name="new", properties={**image.properties, "property-0": "other"})
        images.commit(ImageChanged(image, changed))
        images.commit(ImageRemoved(changed, START))

    def asked(viewer: Viewer, limit: int = 20, **query: object) -> Callable[[], object]:
        return lambda: images.find(ImageQuery(viewer, limit=limit, **query))  # type: ignore[arg-type]

    return {
        "get": lambda: images.get(random.choice(some), admin),
        "list 20, project": asked(me),
        "list 20, member": asked(friend),
        "list 20, admin": asked(admin),
        "list 20, admin, all": asked(admin, all_visible=True),
        "list 20, project, all": asked(me, all_visible=True),
        "shared with me": asked(friend, visibility=Visibility.SHARED),
        "community": asked(me, visibility=Visibility.COMMUNITY),
        "public, hidden": asked(me, hidden=True),
        "tag, project": asked(me, tags=("tag-0-3",)),
        "tag, admin": asked(admin, tags=("tag-0-3",)),
        "3 tags, admin": asked(admin, tags=("tag-0-3", "tag-1-3", "tag-2-3")),
        "property, project": asked(me, properties={"property-0": "value-3"}),
        "property, admin": asked(admin, properties={"property-0": "value-3"}),
        "common tag, rare property": asked(admin, tags=("tag-0-3",), properties={"serial": "503"}),
        "rare tag": asked(admin, tags=("never",)),
        "rare tag, common property": asked(admin, tags=("never",), properties={"property-0": "value-3"}),
        "common tag by name": asked(admin, tags=("tag-0-3",), sort=by_name),
        "name, project": asked(me, equal={"name": ("image-77",)}),
        "name, admin": asked(admin, equal={"name": ("image-77",)}),
        "name never, admin": asked(admin, equal={"name": ("never",)}),
        "owner, admin": asked(admin, equal={"owner": ("project-3",)}),
        "checksum, admin": asked(admin, equal={"checksum": ("0" * 32,)}),
        "by name, project": asked(me, sort=by_name),
        "by name, admin": asked(admin, sort=by_name),
        "by update, admin": asked(admin, sort=by_update),
        "deep page, project": asked(me, marker=made(count // 3 // PROJECTS * PROJECTS + 7).id),
        "deep page, admin": asked(admin, marker=deep),
        "deep by name, admin": asked(admin, marker=deep, sort=by_name),
        "last page, admin": asked(admin, marker=old),
        "deep page by tag, admin": asked(admin, marker=deep, tags=("tag-0-3",)),
        "1000 deep page, admin": asked(admin, 1000, marker=deep),
        "1000, project": asked(me, 1000),
        "usage": lambda: images.usage("project-7"),
        "unleased": images.unleased,
        "create, change, remove": cycle,
    }


def measure(call: Callable[[], object]) -> tuple[float, float]:
    """Median wall time and mean CPU of this process, in milliseconds."""
    for _ in range(3):
        call()
    walls: list[float] = []
    cpu, end = time.process_time(), time.perf_counter() + 0.4
    while len(walls) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        walls.append(time.perf_counter() - start)
    cpu = (time.process_time() - cpu) / len(walls)
    return sorted(walls)[len(walls) // 2] * 1000, cpu * 1000


def main(url: str, sizes: list[int]) -> None:
    database = SqlDatabase(make_section(OPTIONS, connection=url))
    database.sync()
    table: dict[str, list[tuple[float, float]]] = {}
    filled = database.connections.read(lambda db: int(db.rows("SELECT COUNT(*) FROM images")[0][0]))
    for size in sizes:
        start = time.perf_counter()
        if filled < size:
            fill(database, filled, size)
            filled = size
        refresh(database, database.connections.dialect)
        print(f"{size} images after {time.perf_counter() - start:.0f} s", flush=True)
        for name, call in calls(database, size).items():
            table.setdefault(name, []).append(measure(call))
    print(f"{'milliseconds: wall (own CPU)':32}", *(f"{x:>18}" for x in sizes))
    for name, found in table.items():
        print(f"{name:32}", *(f"{f'{wall:.2f} ({cpu:.2f})':>18}" for wall, cpu in found))
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], [int(x) for x in sys.argv[2:]] or [1000, 1_000_000])
