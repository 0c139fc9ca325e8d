"""What each question to the list of images costs as their number grows: every filter and sort, alone and in pairs.

    lists.py [KIND...]      sqlite, mariadb, postgresql; prints the section of docs/performance.md

CPU is that of the service and the database's server together, from the scheduler, to the nanosecond. An answer counts
whatever it is: 200, or 400 ``too_broad`` where a question has no bounded answer."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote
from uuid import UUID

import lab
from measure import tree

SMALL, TIMES = 1000, 1000
WARM, ASKED = 1, 6
#: Beyond this many times the cost at 1,000 images, a question is named.
MOST = 2.0
HEADING = "## What a question to the list costs as the images grow in number"
NAMES = {"sqlite": "SQLite", "mariadb": "MariaDB", "postgresql": "PostgreSQL"}
OWN = "bench"
OTHERS = [f"p{number}" for number in range(8)]
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROLES = {"member": "member,reader", "admin": "admin,member,reader"}


# -- the images ------------------------------------------------------------------------------------
def make(url: str) -> list[str]:
    """1,000 images of nine projects in a database that has its schema; their ids."""
    from glancecore_db_sql.driver import SqlDatabase
    from glancecore_db_sql.options import OPTIONS

    from glancecore.domain.image import Image, Status, Visibility
    from glancecore.domain.member import Member, MemberStatus
    from glancecore.ports.repository import ImageAdded, MemberAdded

    database = SqlDatabase(SimpleNamespace(**{x.dest: x.default for x in OPTIONS} | {"connection": url}))  # type: ignore[arg-type]
    rng, ids = random.Random(7), []
    for number in range(SMALL):
        owner = OWN if rng.random() < 0.4 else rng.choice(OTHERS)
        at = NOW - timedelta(seconds=number)
        kind = rng.choices(list(Visibility), [20, 30, 30, 20])[0]
        made = Image(
            str(UUID(int=rng.getrandbits(128))),
            at,
            at + timedelta(seconds=rng.randrange(600)),
            name=f"image {number % 250}",
            owner=owner,
            status=Status.ACTIVE if rng.random() < 0.9 else Status.QUEUED,
            visibility=kind,
            protected=rng.random() < 0.02,
            hidden=rng.random() < 0.02,
            container_format=rng.choice(["bare", "ovf"]),
            disk_format="iso" if rng.random() < 0.02 else rng.choice(["raw", "qcow2"]),
            min_ram=rng.choice([0, 512]),
            min_disk=rng.choice([0, 10]),
            size=rng.randrange(1 << 34),
            virtual_size=rng.randrange(1 << 36),
            checksum=f"{number:032x}",
            hash_algo="sha512",
            hash_value=f"{number:0128x}",
            tags=tuple(sorted({f"t{rng.randrange(30)}" for _ in range(3)})),
            properties={
                "colour": f"c{rng.randrange(20)}",
                "hw_disk_bus": "virtio",
                "os_distro": "debian",
                "build": str(number),
            },
        )
        shared = (
            [Member(made.id, OWN, rng.choice(list(MemberStatus)), at, at)]
            if kind is Visibility.SHARED and owner != OWN and rng.random() < 0.3
            else []
        )
        database.images.commit(ImageAdded(made), *map(MemberAdded, shared))
        ids.append(made.id)
    database.close()
    return ids


# -- the questions ---------------------------------------------------------------------------------
def questions(ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """What is asked, by its name: the parameter, and its value."""
    middle = quote((NOW - timedelta(seconds=SMALL // 2)).isoformat().replace("+00:00", "Z"))
    filters = {
        "id": ("id", ids[17]),
        "id in 2": ("id", f"in:{ids[17]},{ids[18]}"),
        "name": ("name", "image 3"),
        "name in 2": ("name", "in:image 3,image 4"),
        "name of none": ("name", "nobody"),
        "status": ("status", "active"),
        "status in 2": ("status", "in:active,queued"),
        "status few": ("status", "queued"),
        "container_format": ("container_format", "bare"),
        "disk_format": ("disk_format", "raw"),
        "disk_format few": ("disk_format", "iso"),
        "disk_format none": ("disk_format", "vhd"),
        "checksum": ("checksum", f"{17:032x}"),
        "os_hash_value": ("os_hash_value", f"{17:0128x}"),
        "owner": ("owner", OWN),
        "owner other": ("owner", OTHERS[1]),
        "protected": ("protected", "true"),
        "os_hidden": ("os_hidden", "true"),
        "min_ram": ("min_ram", "512"),
        "min_disk": ("min_disk", "10"),
        "size_min": ("size_min", "1000"),
        "size_min none": ("size_min", str(1 << 40)),
        "size_max": ("size_max", str(1 << 33)),
        "size_max none": ("size_max", "1"),
        "tag": ("tag", "t3"),
        "tag none": ("tag", "nothing"),
        "property": ("colour", "c3"),
        "property of all": ("os_distro", "debian"),
        "property few": ("build", "17"),
        "property none": ("build", "nothing"),
        "created_at gt": ("created_at", f"gt:{middle}"),
        "created_at lt": ("created_at", f"lt:{middle}"),
        "updated_at gt": ("updated_at", f"gt:{middle}"),
        "updated_at lt": ("updated_at", f"lt:{middle}"),
        "visibility public": ("visibility", "public"),
        "visibility private": ("visibility", "private"),
        "visibility shared": ("visibility", "shared"),
        "visibility community": ("visibility", "community"),
        "visibility all": ("visibility", "all"),
        "member_status all": ("member_status", "all"),
        "member_status pending": ("member_status", "pending"),
    }
    sorts = {
        f"sort {key} {way}": ("sort", f"{key}:{way}")
        for key in ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
        for way in ("asc", "desc")
    }
    return {name: (key, quote(value, safe=":,%")) for name, (key, value) in (filters | sorts).items()}


def asked(one: tuple[str, str], other: tuple[str, str] | None = None) -> str | None:
    """The path; None where the two are no pair."""
    if other is None:
        return f"/v2/images?limit=20&{one[0]}={one[1]}"
    if one[0] == other[0] == "sort":
        return (
            None if one[1].split(":")[0] == other[1].split(":")[0] else f"/v2/images?limit=20&sort={one[1]},{other[1]}"
        )
    return None if one[0] == other[0] else f"/v2/images?limit=20&{one[0]}={one[1]}&{other[0]}={other[1]}"


# -- measuring -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Answer:
    milliseconds: float
    refused: bool


class Prober:
    def __init__(self, port: int, roots: Sequence[int], roles: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self._headers = {
            "X-Identity-Status": "Confirmed",
            "X-User-Id": "u",
            "X-Project-Id": OWN,
            "X-Roles": roles,
            "Accept": "application/json",
        }
        self._roots = roots

    def ask(self, path: str) -> Answer:
        for _ in range(WARM):
            status = self._once(path)
        before = nanoseconds(self._roots)
        for _ in range(ASKED):
            self._once(path)
        return Answer((nanoseconds(self._roots) - before) / 1e6 / ASKED, status == 400)

    def _once(self, path: str) -> int:
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200 and b"too_broad" not in body:
            raise RuntimeError(f"{path}: {answer.status} {body[:300]!r}")
        return answer.status


def nanoseconds(roots: Sequence[int]) -> int:
    total = 0
    for pid in itertools.chain.from_iterable(map(tree, roots)):
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(task.read_text().split()[0])
    return total


Costs = dict[tuple[str, ...], Answer]


def measure(port: int, roots: Sequence[int], ids: Sequence[str]) -> dict[str, Costs]:
    found: dict[str, Costs] = {}
    known = questions(ids)
    for role, roles in ROLES.items():
        prober, costs = Prober(port, roots, roles), Costs()
        for names in [*((name,) for name in known), *itertools.combinations(known, 2)]:
            if (path := asked(*(known[name] for name in names))) is not None:
                costs[names] = prober.ask(path)
        found[role] = costs
    return found


@contextlib.contextmanager
def served(kind: str) -> Iterator[tuple[int, list[int], str, list[str]]]:
    config: lab.Config = {"DEFAULT": {"auth_strategy": "headers", "workers": 1}, "server": {"threads": 8}}
    with lab.new_database(kind) as database, lab.service(config, database=database, start=False) as service:
        service.start()  # makes the schema
        service.stop()
        ids = make(database)
        service.start()
        assert service.process is not None
        roots = [service.process.pid]
        if kind != "sqlite":
            roots.append(int((lab.LAB / kind / "server.pid").read_text().split()[0]))
        yield service.port, roots, database, ids


def grown(kind: str) -> tuple[dict[str, Costs], dict[str, Costs]]:
    with served(kind) as (port, roots, database, ids):
        settled(roots)
        small = measure(port, roots, ids)
        say(f"{kind}: measured with {SMALL:,} images")
        subprocess.run(
            [sys.executable, lab.REPO / "tests/bench/fill.py", database, str(TIMES)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        settled(roots)
        say(f"{kind}: has {SMALL * TIMES:,} images")
        return small, measure(port, roots, ids)


def settled(roots: Sequence[int]) -> None:
    """The database is done with what it does in the background after so many rows."""
    quiet = 0
    while quiet < 3:
        before = nanoseconds(roots)
        time.sleep(1)
        quiet = quiet + 1 if nanoseconds(roots) - before < 20_000_000 else 0


# -- the section -----------------------------------------------------------------------------------
def section(found: dict[str, tuple[dict[str, Costs], dict[str, Costs]]]) -> str:
    columns = [(kind, role) for kind in found for role in ROLES]
    names = [name for (name, *more) in next(iter(found.values()))[0]["member"] if not more]
    head = ["question", *(f"{NAMES[kind]}, {role}" for kind, role in columns)]

    def ratio(kind: str, role: str, key: tuple[str, ...]) -> float:
        small, large = (x[role][key].milliseconds for x in found[kind])
        return large / small

    alone = [
        [name, *(_cell(found[kind][0][role][name,], found[kind][1][role][name,]) for kind, role in columns)]
        for name in names
    ]
    paired = []
    for name in names:
        row = [name]
        for kind, role in columns:
            worst = max(
                (key for key in found[kind][0][role] if len(key) == 2 and name in key),
                key=lambda key: ratio(kind, role, key),
            )
            partner = next(x for x in worst if x != name)
            row.append(
                f"{ratio(kind, role, worst):.1f}"
                f" ({partner}{', refused' if found[kind][1][role][worst].refused else ''})"
            )
        paired.append(row)
    beyond = sorted(
        (
            (ratio(kind, role, key), kind, role, key)
            for kind, role in columns
            for key in found[kind][0][role]
            if ratio(kind, role, key) > MOST
        ),
        reverse=True,
    )
    total = sum(len(found[kind][0][role]) for kind, role in columns)
    refused = sum(x.refused for kind, role in columns for x in found[kind][1][role].values())
    return "\n".join(
        [
            f"{HEADING}\n",
            (
                f"CPU milliseconds of the service and the database's server for one page of 20, at {SMALL:,} →"
                f" {SMALL * TIMES:,} images of nine projects; the member's project owns 40 % of them, and other"
                " projects share some with it. ✗: refused with 400 `too_broad` at the larger number.\n"
            ),
            _table(head, alone),
            "Each in a pair with each other one: the pair whose cost grows most, and how many times.\n",
            _table(head, paired),
            (
                f"Of {total:,} questions {len(beyond)} cost more than {MOST:g} times as much with {TIMES:,} times the"
                f" images; {refused} are refused there.\n"
            ),
            *(
                [
                    _table(
                        ["times", "database", "who", "question", "ms"],
                        [
                            [
                                f"{x:.1f}",
                                NAMES[kind],
                                role,
                                " + ".join(key),
                                _cell(found[kind][0][role][key], found[kind][1][role][key]),
                            ]
                            for x, kind, role, key in beyond[:40]
                        ],
                    )
                ]
                if beyond
                else []
            ),
        ]
    )


def _cell(small: Answer, large: Answer) -> str:
    return f"{small.milliseconds:.1f} → {large.milliseconds:.1f}{' ✗' if large.refused else ''}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]) + "\n"


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def report(kinds: Sequence[str] = tuple(NAMES)) -> str:
    return section({kind: grown(kind) for kind in kinds})


if __name__ == "__main__":
    print(report(sys.argv[1:] or tuple(NAMES)))
