"""Speed, side by side with the real Glance in one run on this machine. Writes docs/performance.md.

    bench.py [--quick] [--only peer,ours-mariadb,ours-sqlite] [--flat 100,1000] [--lists] [--references]

Both under two workers of eight threads, with identity headers, over 1,000 images of 5 properties and 3 tags each. CPU
is that of the service's whole process tree. ``--flat``: also our lists with so many times the images. ``--lists``: also
every question to the list, alone and in pairs, at 1,000 and 1,000,000 images on three databases (see lists.py).
``--references``: also references to families, and lifecycle plans (see references.py)."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import cached
import imports
import lab
import lists
import references
import slow
import transfers
from measure import BLOCK, PAGE, Client, Cost, Refused, cost, cpu_seconds, memory_mib
from turns import beside_nginx

HEADERS = "X-Identity-Status: Confirmed\r\nX-User-Id: bench\r\nX-Project-Id: bench\r\nX-Roles: member,reader\r\n"
PATCH = "application/openstack-images-v2.1-json-patch"
COLOURS = [f"c{number}" for number in range(20)]
TAGS = [f"t{number}" for number in range(30)]

#: CPU milliseconds of an operation that we want to need at most.
GOALS = {
    "show": 1.0,
    "list of 20": 2.5,
    "list by tag": 2.5,
    "list by property": 2.5,
    "list of 1000": 60.0,
    "create": 4.0,
    "patch": 4.0,
    "delete": 4.0,
}
#: How the sections about that begin.
GROWTH = "## As the images grow in number"
#: The list that is held against the peer's own figure rather than a number.
NAMESPACES = "list of 20 namespaces"


@dataclass(frozen=True)
class Target:
    """A running service. ``blobs``: where its file store keeps data."""

    name: str
    port: int
    pid: int
    blobs: Path
    start_seconds: float
    database: str


@dataclass
class Figures:
    """What was measured of one service; what failed is named instead."""

    one: dict[str, Cost] = field(default_factory=dict)
    eight: dict[str, Cost] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    flat: dict[int, dict[str, Cost]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    images: int
    seconds: float
    transfer: int
    repeats: int
    #: Downloads beside nginx.
    turns: int
    #: How many, and the pause in seconds before the one that comes after a pause.
    small_imports: int
    rest: float


def image(number: int) -> bytes:
    rng = random.Random(number)
    return json.dumps(
        {
            "name": f"image {number}",
            "disk_format": "raw",
            "container_format": "bare",
            "tags": rng.sample(TAGS, 3),
            "colour": rng.choice(COLOURS),
            "hw_disk_bus": "virtio",
            "hw_vif_model": "virtio",
            "os_distro": "debian",
            "build": str(number),
        }
    ).encode()


def fill(target: Target, count: int) -> list[str]:
    client = Client(target.port, HEADERS)
    ids = [str(json.loads(client.request("POST", "/v2/images", image(number)))["id"]) for number in range(count)]
    client.close()
    return ids


def namespace(number: int) -> bytes:
    """With 10 properties and 3 objects of 5, associated with 2 resource types."""

    def made(count: int) -> dict[str, object]:
        return {
            f"p{n}": {
                "title": f"Property {n}",
                "description": "What it means. " * 4,
                "type": "string",
                "enum": ["a", "b", "c"],
            }
            for n in range(count)
        }

    return json.dumps(
        {
            "namespace": f"Bench::N{number}",
            "display_name": f"Number {number}",
            "description": "What it is about. " * 8,
            "visibility": "public",
            "resource_type_associations": [
                {"name": "OS::Glance::Image"},
                {"name": "OS::Nova::Flavor", "prefix": "hw:"},
            ],
            "properties": made(10),
            "objects": [{"name": f"o{n}", "description": "A group.", "properties": made(5)} for n in range(3)],
            "tags": [{"name": f"t{n}"} for n in range(5)],
        }
    ).encode()


def fill_namespaces(target: Target, count: int = 40) -> None:
    client = Client(target.port, HEADERS.replace("X-Roles: ", "X-Roles: admin,"))
    for number in range(count):
        client.request("POST", "/v2/metadefs/namespaces", namespace(number))
    client.close()


# -- operations ------------------------------------------------------------------------------------
def readers(ids: list[str]) -> dict[str, Callable[[random.Random], str]]:
    return {
        "show": lambda rng: f"/v2/images/{rng.choice(ids)}",
        "list of 20": lambda rng: "/v2/images?limit=20",
        "list by tag": lambda rng: f"/v2/images?limit=20&tag={rng.choice(TAGS)}",
        "list by property": lambda rng: f"/v2/images?limit=20&colour={rng.choice(COLOURS)}",
        "list of 1000": lambda rng: "/v2/images?limit=1000",
        NAMESPACES: lambda rng: "/v2/metadefs/namespaces?limit=20",
    }


def measure_requests(target: Target, ids: list[str], plan: Plan, figures: Figures) -> None:
    for clients, found in ((1, figures.one), (8, figures.eight)):
        for name, path in readers(ids).items():

            def get(number: int, path: Callable[[random.Random], str] = path) -> Callable[[], object]:
                client, rng = Client(target.port, HEADERS), random.Random(number)
                return lambda: client.request("GET", path(rng))

            attempt(target, name, clients, get, plan, found, figures)
        writers(target, clients, plan, found, figures)


def writers(target: Target, clients: int, plan: Plan, found: dict[str, Cost], figures: Figures) -> None:
    made: list[str] = []

    def create(number: int) -> Callable[[], object]:
        client, rng = Client(target.port, HEADERS), random.Random(number)
        return lambda: made.append(
            json.loads(client.request("POST", "/v2/images", image(rng.randrange(1 << 30))))["id"]
        )

    def patch(number: int) -> Callable[[], object]:
        client, rng = Client(target.port, HEADERS), random.Random(number)
        mine = made[number::clients]

        def change() -> None:
            body = [
                {"op": "replace", "path": "/name", "value": f"n{rng.random()}"},
                {"op": "replace", "path": "/colour", "value": rng.choice(COLOURS)},
            ]
            client.request("PATCH", f"/v2/images/{rng.choice(mine)}", json.dumps(body).encode(), PATCH)

        return change

    def delete(number: int) -> Callable[[], object]:
        client, mine = Client(target.port, HEADERS), iter(made[number::clients])
        return lambda: client.request("DELETE", f"/v2/images/{next(mine)}")

    attempt(target, "create", clients, create, plan, found, figures)
    if len(made) >= clients:
        attempt(target, "patch", clients, patch, plan, found, figures)
        attempt(target, "delete", clients, delete, plan, found, figures, most=len(made) // clients * clients)
    client = Client(target.port, HEADERS)
    for image_id in made:  # what is left, so that each phase lists as many images
        with contextlib.suppress(Refused):
            client.request("DELETE", f"/v2/images/{image_id}")


def attempt(
    target: Target,
    name: str,
    clients: int,
    make: Callable[[int], Callable[[], object]],
    plan: Plan,
    found: dict[str, Cost],
    figures: Figures,
    most: int = 1 << 30,
) -> None:
    try:
        if name not in ("create", "delete"):  # warm, but not where each operation changes the number of images
            cost(target.pid, make, clients, plan.seconds / 8, clients * 20)
        found[name] = cost(target.pid, make, clients, plan.seconds, most)
    except (Refused, OSError) as error:
        figures.failures.append(f"{name} with {clients}: {error}")
    else:
        say(
            f"{target.name}: {name}, {clients} at a time: {found[name].cpu_ms:.2f} ms CPU,"
            f" {found[name].per_second:.0f}/s"
        )


def measure_transfers(target: Target, plan: Plan, figures: Figures) -> None:
    client = Client(target.port, HEADERS)
    image_id = imports.create(client)
    client.upload(f"/v2/images/{image_id}/file", plan.transfer)
    measure_download(target, client, f"/v2/images/{image_id}/file", plan, figures)
    client.request("DELETE", f"/v2/images/{image_id}")
    client.close()
    ways = (*transfers.CORE, *(transfers.EXTENSIONS if target.database else ()))
    try:
        found = transfers.measure(target.port, target.pid, HEADERS, target.blobs, plan.transfer, plan.repeats, ways)
    except (Refused, OSError) as error:
        figures.failures.append(f"uploads: {error}")
        return
    figures.numbers |= found
    for name in (transfers.BARE, *ways):
        say(
            f"{target.name}: {name}: {found[f'{name} MiB/s']:.0f} MiB/s, {found[f'{name} CPU-s/GiB']:.2f} CPU-s/GiB,"
            f" {found[f'{name}, share']:.2f} of the bare receiver"
        )


def measure_imports(target: Target, ids: list[str], plan: Plan, figures: Figures) -> None:
    try:
        speed, cpu = imports.direct(target.port, target.pid, HEADERS, plan.transfer, plan.repeats)
        figures.numbers["import glance-direct MiB/s"], figures.numbers["import glance-direct CPU-s/GiB"] = speed, cpu
        say(f"{target.name}: import glance-direct: {speed:.0f} MiB/s, {cpu:.2f} CPU-s/GiB")
        figures.numbers |= transfers.small_imports(target.port, target.pid, HEADERS, plan.small_imports, plan.rest)
        say(
            f"{target.name}: small imports: {figures.numbers['small imports a second']:.1f}/s,"
            f" {figures.numbers['small import CPU ms']:.0f} ms CPU each,"
            f" {figures.numbers['small import after a pause, s']:.2f} s after a pause"
        )
        alone, busy = imports.beside_imports(target.port, HEADERS, ids, plan.seconds, plan.repeats)
        figures.numbers["show p99 ms alone"], figures.numbers["show p99 ms beside 20 imports"] = alone, busy
        say(f"{target.name}: show p99 {alone:.1f} ms, beside {imports.MANY} imports {busy:.1f} ms")
    except (Refused, OSError) as error:
        figures.failures.append(f"imports: {error}")


def measure_download(target: Target, client: Client, path: str, plan: Plan, figures: Figures) -> None:
    blob = next(each for each in target.blobs.rglob("*") if each.is_file() and each.stat().st_size == plan.transfer)
    medians = beside_nginx(client, path, target.pid, blob, plan.turns)
    figures.numbers |= {"download MiB/s": medians.ours, "nginx MiB/s": medians.nginx, "download CPU-s/GiB": medians.cpu}
    say(f"{target.name}: download {medians.ours:.0f} MiB/s; nginx {medians.nginx:.0f} MiB/s")


def machine_speeds(transfer: int) -> dict[str, float]:
    """MiB/s of each digest alone over 1 GiB in memory, and of a plain write to this disk with its fsync."""
    speeds, scratch = {}, lab.LAB / "bench.part"
    began = time.perf_counter()
    with scratch.open("wb", buffering=0) as out:
        for _ in range(transfer // PAGE):
            out.write(BLOCK)
        os.fsync(out.fileno())
    speeds["disk"] = transfer / PAGE / (time.perf_counter() - began)
    scratch.unlink()
    for name in ("md5", "sha512"):
        digest, began = hashlib.new(name, usedforsecurity=False), time.perf_counter()
        for _ in range(1024):
            digest.update(BLOCK)
        speeds[name] = 1024 / (time.perf_counter() - began)
    say("MiB/s alone: " + ", ".join(f"{name} {speed:.0f}" for name, speed in speeds.items()))
    return speeds


# -- flatness --------------------------------------------------------------------------------------
def measure_flatness(target: Target, plan: Plan, factors: list[int], figures: Figures) -> None:
    """The same lists, filters and a page in the middle, as the number of images grows."""
    have = 1
    for factor in [1, *factors]:
        if factor != have:
            began = time.monotonic()
            total = subprocess.run(
                [sys.executable, lab.REPO / "tests/bench/fill.py", target.database, str(factor // have)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            say(f"{target.name}: {total} images, made in {time.monotonic() - began:.0f} s")
            have = factor
        client = Client(target.port, HEADERS)
        marker = _middle(target, client)
        paths = {
            "list of 20": "/v2/images?limit=20",
            "list by tag": f"/v2/images?limit=20&tag={TAGS[3]}",
            "list by property": f"/v2/images?limit=20&colour={COLOURS[3]}",
            "list by tag and property": f"/v2/images?limit=20&tag={TAGS[3]}&colour={COLOURS[3]}",
            "list by name": "/v2/images?limit=20&name=image+3",
            "list sorted by name": "/v2/images?limit=20&sort=name:asc",
            "page in the middle": f"/v2/images?limit=20&marker={marker}",
            "page in the middle by tag": f"/v2/images?limit=20&tag={TAGS[3]}&marker={marker}",
            "show": f"/v2/images/{marker}",
        }
        figures.flat[factor] = {}
        for name, path in paths.items():

            def get(number: int, path: str = path, client: Client = client) -> Callable[[], object]:
                return lambda: client.request("GET", path)

            attempt(target, name, 1, get, plan, figures.flat[factor], figures)


def _middle(target: Target, client: Client) -> str:
    """The id of an image half-way through the list."""
    query = "select id from images order by created_at limit 1 offset {}"
    if target.database.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(urlsplit(target.database).path[1:])) as database:
            count = database.execute("select count(*) from images").fetchone()[0]
            return str(database.execute(query.format(count // 2)).fetchone()[0])
    from sqlalchemy import create_engine, text  # only where the service's own environment runs us

    with create_engine(target.database).connect() as connection:
        count = connection.execute(text("select count(*) from images")).scalar_one()
        return str(connection.execute(text(query.format(count // 2))).scalar_one())


# -- targets ---------------------------------------------------------------------------------------
@contextlib.contextmanager
def peer() -> Iterator[Target]:
    lab.up("peer", "headers", "mariadb", FRESH="1")
    lab.down("peer")
    began = time.monotonic()
    made = lab.up("peer", "headers", "mariadb")  # also asks whether the schema is the newest
    started = time.monotonic() - began
    try:
        yield Target(
            "Glance 33, MariaDB",
            urlsplit(made.url).port or 0,
            int(made.settings["PEER_PID"]),
            lab.LAB / "peer" / "fast",
            started,
            "",
        )
    finally:
        lab.down("peer")


@contextlib.contextmanager
def ours(kind: str) -> Iterator[Target]:
    config: lab.Config = {
        "DEFAULT": {"auth_strategy": "headers", "workers": 2, "enabled_extensions": "tus, resumable"},
        "server": {"threads": 8},
        "import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]"},
    }
    with lab.new_database(kind) as database, lab.service(config, database=database, start=False) as service:
        service.start()
        service.stop()
        service.start()  # the second start is measured: byte code is compiled, as it is for the peer
        assert service.process is not None
        yield Target(
            f"ours, {'SQLite' if kind == 'sqlite' else 'MariaDB'}",
            service.port,
            service.process.pid,
            service.folder / "images",
            service.start_seconds,
            database,
        )


TARGETS: dict[str, Callable[[], contextlib.AbstractContextManager[Target]]] = {
    "peer": peer,
    "ours-mariadb": lambda: ours("mariadb"),
    "ours-sqlite": lambda: ours("sqlite"),
}


def measure(name: str, plan: Plan, factors: list[int]) -> tuple[str, Figures]:
    figures = Figures()
    with TARGETS[name]() as target:
        time.sleep(1)
        rss, pss = memory_mib(target.pid)
        figures.numbers |= {"start s": target.start_seconds, "idle RSS MiB": rss, "idle PSS MiB": pss}
        say(f"{target.name}: start {target.start_seconds:.1f} s, idle RSS {rss:.0f} MiB, PSS {pss:.0f} MiB")
        began, before = time.monotonic(), cpu_seconds(target.pid)
        ids = fill(target, plan.images)
        say(
            f"{target.name}: {plan.images} images in {time.monotonic() - began:.0f} s, "
            f"{1000 * (cpu_seconds(target.pid) - before) / plan.images:.1f} ms CPU each"
        )
        fill_namespaces(target)
        measure_requests(target, ids, plan, figures)
        measure_transfers(target, plan, figures)
        measure_imports(target, ids, plan, figures)
        if factors and name != "peer":
            measure_flatness(target, plan, factors, figures)
    if name == "ours-sqlite":
        figures.numbers |= cached.against_nginx(plan.transfer, plan.turns)
        figures.numbers |= slow.beside_slow_clients()
        say(
            f"{target.name}:"
            f" {', '.join(f'{what} {figures.numbers[what]:.1f}' for what in (*cached.FIGURES, *slow.FIGURES))}"
        )
    return target.name, figures


# -- the report ------------------------------------------------------------------------------------
def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]) + "\n"


def number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def share(figures: Figures, what: str) -> str:
    """Of an upload's speed: what it is of the bare receiver's, median of the turns."""
    name = what.removesuffix(" MiB/s")
    return (
        f" ({figures.numbers[f'{name}, share']:.2f})"
        if name in transfers.GOALS and f"{name}, share" in figures.numbers
        else ""
    )


def report(found: dict[str, Figures], speeds: dict[str, float], plan: Plan) -> str:
    names = list(found)
    cpu = [
        [
            operation,
            f"≤ {goal:g}",
            *(
                number(figures.one[operation].cpu_ms if operation in figures.one else None, 2)
                for figures in found.values()
            ),
        ]
        for operation, goal in GOALS.items()
    ]
    cpu.append(
        [
            NAMESPACES,
            "≤ 1/5 of Glance's",
            *(
                number(figures.one[NAMESPACES].cpu_ms if NAMESPACES in figures.one else None, 2)
                for figures in found.values()
            ),
        ]
    )
    rates = [
        [
            operation,
            *(
                f"{number(figures.one[operation].per_second, 0) if operation in figures.one else '-'} / "
                f"{number(figures.eight[operation].per_second, 0) if operation in figures.eight else '-'}"
                for figures in found.values()
            ),
        ]
        for operation in [*GOALS, NAMESPACES]
    ]
    goals = {
        f"{transfers.BARE} MiB/s": "(same sender, same disk, same hashes, in turns)",
        **{f"{name} MiB/s": goal for name, goal in transfers.GOALS.items()},
        **{f"{name} CPU-s/GiB": "" for name in (transfers.BARE, *transfers.GOALS)},
        "download MiB/s": "≥ 0.95 of nginx",
        "nginx MiB/s": "(same file, same run)",
        "download CPU-s/GiB": "",
        "start s": "≤ 1.5",
        "idle RSS MiB": "",
        "idle PSS MiB": "≤ 100",
        "import glance-direct MiB/s": "≥ 0.8 of upload",
        "import glance-direct CPU-s/GiB": "",
        "small imports a second": "≥ 30",
        "small import CPU ms": "≤ 50",
        "small import after a pause, s": "≤ 0.5",
        "show p99 ms alone": "",
        "show p99 ms beside 20 imports": "≤ 3 times as much",
        **cached.FIGURES,
        **slow.FIGURES,
    }
    others = [
        [
            what,
            goal,
            *(
                number(figures.numbers.get(what), 2 if "CPU-s" in what or ", s" in what else 1) + share(figures, what)
                for figures in found.values()
            ),
        ]
        for what, goal in goals.items()
    ]
    parts = [
        "# Performance\n",
        (
            f"Made by `make bench` (tests/bench); do not edit. Side by side in one run on one machine: {os.cpu_count()}"
            f" CPUs, {plan.images:,} images with 5 properties and 3 tags each, two workers of eight threads, identity"
            f" headers, transfers of {plan.transfer >> 20} MiB. Alone, in MiB/s: md5 {speeds['md5']:.0f} and sha512"
            f" {speeds['sha512']:.0f} in memory, a write with its fsync to this disk {speeds['disk']:.0f}.\n"
        ),
        "## CPU of the whole service for one operation, in milliseconds\n",
        table(["operation", "goal", *names], cpu),
        "## Operations a second, with 1 client / with 8\n",
        table(["operation", *names], rates),
        "## Transfers, start, memory\n",
        table(["what", "goal", *names], others),
    ]
    for name, figures in found.items():
        if figures.flat:
            factors = list(figures.flat)
            parts += [
                f"{GROWTH}: {name}, CPU milliseconds\n",
                table(
                    ["request", *(f"{factor * plan.images:,} images" for factor in factors)],
                    [
                        [
                            request,
                            *(
                                number(
                                    figures.flat[factor][request].cpu_ms if request in figures.flat[factor] else None, 2
                                )
                                for factor in factors
                            ),
                        ]
                        for request in figures.flat[factors[0]]
                    ],
                ),
            ]
    failures = [f"- {name}: {failure}" for name, figures in found.items() for failure in figures.failures]
    if failures:
        parts += ["## What failed\n", "\n".join(failures) + "\n"]
    return "\n".join(parts)


def growth(before: str) -> str:
    """What an earlier report says of that, which takes long to measure."""
    sections = re.split(r"(?m)^(?=## )", before)
    return "".join(
        "\n" + x.replace("CPU milliseconds\n", "CPU milliseconds, from an earlier run\n").rstrip() + "\n"
        for x in sections
        if x.startswith(GROWTH)
    )


def apart(before: str, heading: str, report: Callable[[], str] | None) -> str:
    """What is measured only when it is asked for: now, or what an earlier report says of it."""
    if report is not None:
        return "\n" + report()
    return "".join("\n" + x.rstrip() + "\n" for x in re.split(r"(?m)^(?=## )", before) if x.startswith(heading))


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything; the report is printed, not written")
    parser.add_argument("--only", default=",".join(TARGETS))
    parser.add_argument("--flat", default="", metavar="TIMES", help="such as 100,1000")
    parser.add_argument(
        "--lists", action="store_true", help="every question to the list, on three databases with 1,000,000 images each"
    )
    parser.add_argument(
        "--references",
        action="store_true",
        help="references to 1,000 families and lifecycle plans, on two databases with 100,000 images each",
    )
    options = parser.parse_args()
    plan = Plan(200, 0.8, 128 << 20, 1, 5, 40, 1.0) if options.quick else Plan(1000, 4.0, 1 << 30, 5, 25, 200, 30.0)
    speeds = machine_speeds(plan.transfer)
    found = dict(
        measure(name, plan, [int(each) for each in options.flat.split(",") if each]) for name in options.only.split(",")
    )
    text = report(found, speeds, plan)
    page = lab.REPO / "docs" / "performance.md"
    before = page.read_text() if page.exists() else ""
    if not options.flat:
        text += growth(before)
    text += apart(before, lists.HEADING, lists.report if options.lists else None)
    text += apart(before, references.HEADING, references.report if options.references else None)
    if not options.quick:
        page.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
