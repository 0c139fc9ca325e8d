"""Does each list cost the same whatever the number of images? Not a test: prints a table of the CPU that lists take.

    python questions.py 1000=URL 1000000=URL [--all]        (each database is filled up to its number of images)

Every filter and every sort of the API, alone and in pairs, for a member and for an admin, pages of 20. CPU is that of
this process and of the database's server, when it runs on this machine. The images are those of ``flatness.py``; the
member owns one in eight. Told are the questions that grow most; with ``--all`` each one."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flatness import LARGE, fill, made, multiply, refresh
from glancecore_db_sql.driver import SqlDatabase
from glancecore_db_sql.options import OPTIONS

from glancecore.domain import errors
from glancecore.domain.context import Viewer
from glancecore.domain.image import Visibility
from glancecore.domain.member import MemberStatus
from glancecore.ports.repository import ImageQuery, RangeFilter, Sort, SortField, TimeFilter, TimeOp
from glancecore.testing.examples import after
from glancecore.testing.settings import make_section

#: Images made one by one; the others are copies.
BASE = 20_000
MEMBER, ADMIN = Viewer(LARGE), Viewer("project-9", admin=True)
#: Parts of a question; two with one of the same name exclude each other.
Asked = dict[str, object]


#: Too like another one to be asked with all others.
ALONE = frozenset(
    {
        "visibility=public",
        "visibility=community",
        "member_status=pending",
        "name=in:100",
        "id=in:100",
        "status=in:2",
        "disk_format=in:2",
        "container_format",
        "container_format=never",
        "checksum=never",
        "os_hash_algo",
        "os_hash_value",
        "virtual_size",
        "min_ram",
        "min_disk",
        "size_max",
        "protected=false",
        "virtual_size_min",
        "min_ram_max",
        "min_disk_min",
        "created_at=gte:0.5",
        "created_at=lte:0.5",
        "created_at=gt:0.02",
        "created_at=gt:0.999",
        "created_at=lt:0.02",
        "created_at=lt:0.999",
        "updated_at=gte:0.5",
        "updated_at=lte:0.5",
        "updated_at=gt:0.02",
        "updated_at=lt:0.999",
        "created_at=eq:0.5",
        "created_at=neq:0.5",
        "updated_at=eq:0.5",
        "property=never",
    }
)


def filters(count: int) -> dict[str, Asked]:
    """Of each filter values that many, few or no images have."""
    one, two = made(count // 3), made(count // 2)
    found: dict[str, Asked] = {
        "visibility=all": {"all_visible": True},
        **{f"visibility={x.value}": {"visibility": x} for x in Visibility},
        "member_status=all": {"member_status": None},
        "member_status=pending": {"member_status": MemberStatus.PENDING},
        "os_hidden": {"hidden": True},
    }
    for text, name, *values in [
        ("name", "name", "image-77"),
        ("name=never", "name", "never"),
        ("name=in:2", "name", "image-77", "image-78"),
        ("name=in:100", "name", *(f"image-{n}" for n in range(100))),
        ("id", "id", one.id),
        ("id=in:100", "id", *(made(n).id for n in range(100))),
        ("status", "status", "active"),
        ("status=never", "status", "saving"),
        ("status=in:2", "status", "active", "queued"),
        ("disk_format", "disk_format", "qcow2"),
        ("disk_format=never", "disk_format", "vdi"),
        ("disk_format=in:2", "disk_format", "raw", "iso"),
        ("container_format", "container_format", "bare"),
        ("container_format=never", "container_format", "ovf"),
        ("owner", "owner", LARGE),
        ("owner=other", "owner", "project-3"),
        ("checksum", "checksum", one.checksum),
        ("checksum=never", "checksum", "0"),
        ("os_hash_algo", "hash_algo", "sha512"),
        ("os_hash_algo=never", "hash_algo", "md5"),
        ("os_hash_value", "hash_value", two.hash_value),
        ("size", "size", one.size),
        ("size=never", "size", 1),
        ("virtual_size", "virtual_size", 5),
        ("min_ram", "min_ram", 0),
        ("min_ram=never", "min_ram", 7),
        ("min_disk", "min_disk", 0),
        ("protected=false", "protected", False),
        ("protected=true", "protected", True),
    ]:
        found[text] = {f"equal {name}": tuple(values)}
    for text, name, low, high in [
        ("size_min", "size", 2**39, None),
        ("size_max", "size", None, 2**39),
        ("size_min=never", "size", 2**50, None),
        ("size_min,max=few", "size", 2**39, 2**39 + 2**28),
        ("virtual_size_min", "virtual_size", 1, None),
        ("min_ram_max", "min_ram", None, 5),
        ("min_disk_min", "min_disk", 1, None),
    ]:
        found[text] = {f"range {name}": RangeFilter(name, low, high)}
    for field in (SortField.CREATED_AT, SortField.UPDATED_AT):
        for op, at in itertools.product(TimeOp, (0.02, 0.5, 0.999)):
            if at == 0.5 or op in (TimeOp.GT, TimeOp.LT):
                found[f"{field.value}={op.value}:{at}"] = {
                    f"time {field.value}": TimeFilter(field, op, after(int(count * at)))
                }
    found |= {
        "tag": {"tag": "tag-0-3"},
        "tag=never": {"tag": "never"},
        "other tag": {"other tag": "tag-1-3"},
        "property": {"property": ("property-0", "value-3")},
        "property=never": {"property": ("property-0", "never")},
        "other property": {"other property": ("property-1", "value-4")},
        "serial": {"property": ("serial", "503")},
    }
    return found


def sorts() -> dict[str, Asked]:
    return {
        f"sort={x.value}:{'desc' if down else 'asc'}": {"sort": Sort(x, down)}
        for x in SortField
        for down in (True, False)
    }


def question(viewer: Viewer, *parts: Asked) -> ImageQuery | None:
    """None when two parts exclude each other."""
    equal: dict[str, tuple[str | int | bool, ...]] = {}
    plain: dict[str, object] = {}
    times, ranges, tags, properties, keys = [], [], [], {}, []
    for part in parts:
        for name, value in part.items():
            if name == "sort":
                if any(x.field is value.field for x in keys):
                    return None
                keys.append(value)
            elif name.startswith(("equal ", "time ", "range ")) or name == "property":
                known = {"equal": equal, "time": times, "range": ranges, "property": properties}[name.split()[0]]
                if isinstance(known, dict):
                    key, wanted = (name.split()[1], value) if name != "property" else value
                    if key in known:
                        return None
                    known[key] = wanted
                else:
                    known.append(value)
            elif name.endswith("tag"):
                tags.append(value)
            elif name == "other property":
                properties[value[0]] = value[1]
            elif name in plain or {name, *plain} >= {"visibility", "all_visible"}:
                return None
            else:
                plain[name] = value
    for field in (SortField.CREATED_AT, SortField.ID):  # as the API does it
        if all(x.field is not field for x in keys):
            keys.append(Sort(field, len({x.descending for x in keys}) != 1 or keys[0].descending))
    return ImageQuery(
        viewer,
        limit=20,
        equal=equal,
        times=tuple(times),
        ranges=tuple(ranges),
        tags=tuple(tags),
        properties=properties,
        sort=tuple(keys),
        max_bytes=4 << 20,
        **plain,
    )  # type: ignore[arg-type]


def questions(count: int) -> Iterator[tuple[str, ImageQuery]]:
    every = {**filters(count), **sorts()}
    alone = [(name,) for name in ("", *every)]
    for names in (*alone, *itertools.combinations([x for x in every if x not in ALONE], 2)):
        for who, viewer in (("member", MEMBER), ("admin", ADMIN)):
            asked = question(viewer, *(every[x] for x in names if x))
            if asked is not None:
                yield f"{who}: {' & '.join(names)}", asked


@dataclass(frozen=True, slots=True)
class Answer:
    """``kind``: whole, short (it leads on), or refused."""

    milliseconds: float
    kind: str
    images: int


class Clock:
    """CPU seconds of this process, and of the server's threads that serve it."""

    def __init__(self, database: SqlDatabase) -> None:
        name = database.connections.dialect.name
        ask = {"mysql": "SELECT @@pid_file", "postgresql": "SELECT pg_backend_pid()"}.get(name)
        found = None if ask is None else database.connections.read(lambda db: db.rows(ask)[0][0])
        self._server = (
            None
            if found is None
            else Path("/proc") / (Path(found).read_text().strip() if name == "mysql" else str(found)) / "task"
        )

    def of(self, run: Callable[[], object]) -> float:
        """To look at the clock is not counted."""
        served = self._served()
        start = time.process_time()
        run()
        return time.process_time() - start + (self._served() - served) / 1e9

    def _served(self) -> int:
        return (
            0
            if self._server is None
            else sum(int((x / "schedstat").read_text().split()[0]) for x in self._server.iterdir())
        )


def ask(database: SqlDatabase, query: ImageQuery) -> tuple[str, int]:
    try:
        page = database.images.find(query)
    except errors.TooBroad:
        return "refused", 0
    return "short" if page.marker is not None and len(page.images) < query.limit else "whole", len(page.images)


def measured(databases: Sequence[tuple[SqlDatabase, Clock]], queries: Sequence[ImageQuery], turns: int) -> list[Answer]:
    """In turn, as the machine may be slower at times; the least of some, as what else it does only adds."""
    told = [ask(database, query) for (database, _), query in zip(databases, queries, strict=True)]
    least = [float("inf")] * len(databases)
    for _ in range(turns):
        for n, (database, clock) in enumerate(databases):
            least[n] = min(least[n], clock.of(partial(ask, database, queries[n])))
    return [Answer(x * 1000, *y) for x, y in zip(least, told, strict=True)]


def table(found: dict[str, list[Answer]], sizes: Sequence[int], *, every: bool) -> Iterator[str]:
    grown = sorted(found.items(), key=lambda x: x[1][0].milliseconds / x[1][-1].milliseconds)
    over = [x for x in grown if x[1][-1].milliseconds > 2 * x[1][0].milliseconds]
    yield (
        f"{len(found)} questions, {len(over)} cost more than 2 times as much at {sizes[-1]:,} images as at {sizes[0]:,}"
    )
    for kind in ("whole", "short", "refused"):
        yield f"  {kind}: {sum(x[-1].kind == kind for x in found.values())}"
    yield f"| question | {' | '.join(f'{x:,} images' for x in sizes)} | times |\n|---|{'---|' * (len(sizes) + 1)}"
    for name, answers in grown if every else grown[: max(30, len(over))]:
        each = " | ".join(f"{x.milliseconds:.2f} {x.kind} {x.images}" for x in answers)
        yield f"| {name} | {each} | {answers[-1].milliseconds / answers[0].milliseconds:.2f} |"


def opened(url: str, images: int) -> SqlDatabase:
    """With so many images; filled up when it has fewer."""
    database = SqlDatabase(make_section(OPTIONS, connection=url))
    database.sync()
    base = min(images, BASE)
    filled = int(database.connections.read(lambda db: db.rows("SELECT COUNT(*) FROM images")[0][0]))
    fill(database, filled, base)
    if filled < images > base:
        multiply(database, base, images)
        refresh(database, database.connections.dialect)
    return database


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("databases", nargs="+", metavar="IMAGES=URL")
    parser.add_argument("--all", action="store_true", help="tell each question")
    parser.add_argument("--turns", type=int, default=5, help="how often each question is asked")
    parser.add_argument("--only", default="", help="questions with this text")
    options = parser.parse_args()
    sizes = [int(x.partition("=")[0]) for x in options.databases]
    databases = [opened(x.partition("=")[2], size) for x, size in zip(options.databases, sizes, strict=True)]
    clocks = [(x, Clock(x)) for x in databases]
    found = {}
    for names in zip(*map(questions, sizes), strict=True):
        if options.only in names[0][0]:
            found[names[0][0]] = measured(clocks, [query for _, query in names], options.turns)
    print(*table(found, sizes, every=options.all), sep="\n")
    for database in databases:
        database.close()


if __name__ == "__main__":
    main()
