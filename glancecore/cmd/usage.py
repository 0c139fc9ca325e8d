"""glance-manage usage: what all projects use, by project, store and visibility; the largest, the oldest and the never
used images."""

from __future__ import annotations

import argparse
import csv
import heapq
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from glancecore.cmd import arguments
from glancecore.domain.image import Image, Status
from glancecore.domain.text import counted, escaped
from glancecore.features.uses.counting import Use, UseRows
from glancecore.ports.repository import Database

#: A deleted image has nothing.
_THERE = frozenset(Status) - {Status.DELETED, Status.KILLED}
_PAGE = 100
#: What images are ordered by, the first ones first.
_ORDERS: Mapping[str, Callable[[_Used], float]] = {
    "largest": lambda x: -sum(x.bytes.values()),
    "oldest": lambda x: x.image.created_at.timestamp(),
    "unused": lambda x: -sum(x.bytes.values()),
    "longest-unused": lambda x: (x.use.last_at or x.image.created_at).timestamp(),
}


@dataclass(frozen=True, slots=True)
class _Used:
    """``bytes`` by store."""

    image: Image
    use: Use
    bytes: Mapping[str, int]

    def row(self) -> dict[str, object]:
        image = self.image
        return {
            "image": image.id,
            "name": image.name,
            "project": image.owner,
            "visibility": image.visibility.value,
            "status": image.status.value,
            "stores": ",".join(sorted(self.bytes)),
            "bytes": sum(self.bytes.values()),
            "created_at": _stamp(image.created_at),
            "use_count": self.use.count,
            "last_used_at": _stamp(self.use.last_at),
        }


@dataclass(slots=True)
class _Totals:
    """Images and bytes of each (project, store, visibility); store '' is of images without data. ``images`` counts each
    image once."""

    cells: dict[tuple[str | None, str, str], list[int]] = field(default_factory=dict)
    images: dict[str, Counter[str | None]] = field(
        default_factory=lambda: {"project": Counter(), "visibility": Counter()}
    )

    def add(self, used: _Used) -> None:
        image = used.image
        self.images["project"][image.owner] += 1
        self.images["visibility"][image.visibility.value] += 1
        for store, size in (used.bytes or {"": 0}).items():
            cell = self.cells.setdefault((image.owner, store, image.visibility.value), [0, 0])
            cell[0] += 1
            cell[1] += size

    def rows(self) -> Iterator[dict[str, object]]:
        for (project, store, visibility), (images, size) in sorted(
            self.cells.items(), key=lambda x: tuple(y or "" for y in x[0])
        ):
            yield {"project": project, "store": store, "visibility": visibility, "images": images, "bytes": size}

    def by(self, name: str) -> list[tuple[str | None, int, int]]:
        """(which, images, bytes), the most bytes first."""
        place = ("project", "store", "visibility").index(name)
        counts, sizes = Counter(self.images.get(name, {})), Counter[str | None]()
        for key, (images, size) in self.cells.items():
            sizes[key[place]] += size
            if name not in self.images:
                counts[key[place]] += images
        return sorted(((x, counts[x], sizes[x]) for x in sizes), key=lambda x: (-x[2], x[0] or ""))


def _images(database: Database) -> Iterator[_Used]:
    """Each image that is there, a page at a time."""
    rows, after = UseRows(database), ""
    while page := database.images.scan(_THERE, after, _PAGE):
        uses = rows.of([x.id for x in page])
        for image in page:
            sizes = Counter[str]()
            for location in image.live_locations:
                sizes[location.store] += image.size or 0
            yield _Used(image, uses.get(image.id, Use()), sizes)
        after = page[-1].id


def _run(args: argparse.Namespace, database: Database) -> int:
    since = UseRows(database).begun_at()
    if args.images is not None:
        found = (x for x in _images(database) if args.images != "unused" or not x.use.count)
        order = _ORDERS[args.images]
        rows: Iterable[dict[str, object]] = [
            x.row() for x in heapq.nsmallest(args.limit, found, key=lambda x: (order(x), x.image.id))
        ]
        if not (args.json or args.csv):
            return _say_images(list(rows), since)
        columns: tuple[str, ...] = (
            "image",
            "name",
            "project",
            "visibility",
            "status",
            "stores",
            "bytes",
            "created_at",
            "use_count",
            "last_used_at",
        )
    else:
        totals = _Totals()
        for each in _images(database):
            totals.add(each)
        if not (args.json or args.csv):
            return _say_totals(totals)
        rows, columns = totals.rows(), ("project", "store", "visibility", "images", "bytes")
    if args.json:
        print(json.dumps({"counted_since": _stamp(since), "rows": list(rows)}))
    else:
        _write_csv(columns, rows)
    return 0


def _write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    written = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    written.writeheader()
    for row in rows:
        written.writerow({name: _harmless(value) for name, value in row.items()})


def _harmless(value: object) -> object:
    """A spreadsheet takes what begins so for a formula: names are what users have written."""
    if not isinstance(value, str):
        return "" if value is None else value
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _say_totals(totals: _Totals) -> int:
    for name in ("project", "store", "visibility"):
        print(f"by {name}:")
        for which, images, size in totals.by(name):
            print(f"  {'-' if not which else escaped(which)}: images {images}, bytes {size}")
    return 0


def _say_images(rows: Sequence[Mapping[str, object]], since: datetime | None) -> int:
    print(f"uses are counted since {_stamp(since)}" if since else "uses are not counted yet")
    for row in rows:
        last = f", last {row['last_used_at']}" if row["last_used_at"] else ""
        print(
            f"{row['image']} bytes {row['bytes']} project {escaped(str(row['project'] or '-'))}"
            f" created {row['created_at']} used"
            f" {counted(int(str(row['use_count'])), 'time')}{last}: {escaped(str(row['name'] or '-'))}"
        )
    return 0


def _stamp(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None


def add_area(areas: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    area = areas.add_parser(
        "usage", help="what all projects use, by project, store and visibility; or the largest, oldest or unused images"
    )
    area.add_argument(
        "--images",
        choices=list(_ORDERS),
        metavar="ORDER",
        help=f"list images instead, the first ones of: {', '.join(_ORDERS)}",
    )
    area.add_argument("--limit", type=arguments.count, default=20, metavar="N", help="so many images (default: 20)")
    area.add_argument("--csv", action="store_true", help="print a table with commas, for programs and spreadsheets")
    area.set_defaults(run=_run)
