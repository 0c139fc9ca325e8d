"""What references to families cost beside a show, lists beside what they leave out, and a lifecycle plan over all
images.

    references.py [--families N] [--times N] [--turns N] [--only WORD,...] [KIND...]      sqlite, mariadb, postgresql;
    prints the section of docs/performance.md

Families of ten versions each; the five older ones are deprecated. ``--times``: so many times the images, the others in
no family. CPU is that of the service, and in brackets with the database's server, from the scheduler. The turns of all
questions are mixed, so that a busy machine is busy for each. Shows and lists are asked of the same database without the
extensions as well. The plans are the first of each policy; their memory is what the process that makes one had at most,
beside what it had before."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import lab
from lists import NAMES, nanoseconds, say, settled
from measure import tree

HEADING = "## References to families, and lifecycle plans"
VERSIONS, DEPRECATED = 10, 5
FAMILIES, TIMES, TURNS = 1000, 10, 24
NOW = datetime(2026, 6, 1, tzinfo=UTC)
OWNER, CALLER = "publisher", "bench"
ASKED = 40
EXTENSIONS = "families, lifecycle"
#: The questions that can be asked without them.
PLAIN = (
    "show",
    "list of 20",
    "list of 1000",
    "list of 20, none of a family",
    "list of 1000, none of a family",
    "list by property",
    "list by name",
)


def make(url: str, count: int) -> dict[str, list[str]]:
    """Names and ids of the families' images, the oldest version first."""
    from glancecore_db_sql.driver import SqlDatabase
    from glancecore_db_sql.options import OPTIONS
    from glancecore_ext_families.family import (
        NAMES,
        PUBLIC,
        Channel,
        Family,
        Target,
        Version,
        own_id,
        public_id,
        stamp,
    )

    from glancecore.domain.image import Image, Status, Visibility
    from glancecore.ports import unlisted
    from glancecore.ports.record_repository import Record, RecordAdded
    from glancecore.ports.repository import ImageAdded

    database = SqlDatabase(SimpleNamespace(**{x.dest: x.default for x in OPTIONS} | {"connection": url}))  # type: ignore[arg-type]
    rng, made = random.Random(7), dict[str, list[str]]()
    for number in range(count):
        name, family_id = f"os-{number}/13", str(UUID(int=rng.getrandbits(128)))
        ids = [str(UUID(int=rng.getrandbits(128))) for _ in range(VERSIONS)]
        changes: list[ImageAdded | RecordAdded] = []
        for place, image_id in enumerate(ids):
            at = NOW - timedelta(seconds=(VERSIONS - place) * count + number)
            changes.append(
                ImageAdded(
                    Image(
                        image_id,
                        at,
                        at,
                        name=f"image {number}",
                        owner=OWNER,
                        status=Status.ACTIVE,
                        visibility=Visibility.PUBLIC,
                        container_format="bare",
                        disk_format="raw",
                        size=rng.randrange(1 << 34),
                        checksum=f"{number:032x}",
                        hash_algo="sha512",
                        hash_value=f"{number:0128x}",
                        tags=("a", "b", "c"),
                        properties={
                            "colour": f"c{rng.randrange(20)}",
                            "hw_disk_bus": "virtio",
                            "os_distro": "debian",
                            "build": str(number),
                        },
                    )
                )
            )
            old = place < DEPRECATED
            changes.append(
                RecordAdded(
                    Version(
                        image_id, family_id, str(place), place + 1, stamp(at), deprecated_at=stamp(NOW) if old else None
                    ).saved()
                )
            )
            changes += [RecordAdded(unlisted.from_then_on(image_id, NOW))] if old else []
        family = Family(
            family_id,
            name,
            OWNER,
            stamp(NOW),
            PUBLIC,
            default="stable" if number % 2 else "latest",
            versions=VERSIONS,
            moves=1,
            channels={"stable": Channel(Target(ids[-2], str(VERSIONS - 2)), 1, pinned=False, moved_at=stamp(NOW))},
        )
        changes.append(RecordAdded(family.saved()))
        changes += [
            RecordAdded(Record(NAMES.name, x, {"family": family_id}, (family_id,)))
            for x in (own_id(name, OWNER), public_id(name))
        ]
        database.images.commit(*changes)
        made[name] = ids
    database.close()
    return made


def questions(made: dict[str, list[str]]) -> dict[str, list[str]]:
    """Paths of each; one is taken after the other."""
    names = list(made)
    newest = [made[x][-1] for x in names]
    return {
        "show": [f"/v2/images/{x}" for x in newest],
        "@stable": [f"/v2/images/{x}@stable" for x in names],
        "@latest": [f"/v2/images/{x}@latest" for x in names],
        ":label": [f"/v2/images/{x}:{VERSIONS - 1}" for x in names],
        "bare name, default latest": [f"/v2/images/{x}" for x in names[::2]],
        "bare name, default stable": [f"/v2/images/{x}" for x in names[1::2]],
        "list of 20": ["/v2/images?limit=20"],
        "list of 1000": ["/v2/images?limit=1000"],
        "list of 20, none of a family": ["/v2/images?limit=20&sort=created_at:asc"],
        "list of 1000, none of a family": ["/v2/images?limit=1000&sort=created_at:asc"],
        "list by property": [f"/v2/images?limit=20&colour=c{x}" for x in range(20)],
        "list by name": [f"/v2/images?limit=20&name=image+{x}" for x in range(len(names))],
        "list behind the last that is not left out": [f"/v2/images?limit=20&marker={made[names[-5]][DEPRECATED]}"],
    }


@contextlib.contextmanager
def served(kind: str, count: int, times: int) -> Iterator[tuple[lab.Service, list[int], dict[str, list[str]]]]:
    """The first of the processes is the service's, which is not the same after ``started``."""
    config: lab.Config = {
        "DEFAULT": {"auth_strategy": "headers", "workers": 1, "enabled_extensions": EXTENSIONS},
        "server": {"threads": 8},
        "ext_families": {"families_per_project": 10_000},
    }
    with lab.new_database(kind) as database, lab.service(config, database=database, start=False) as service:
        service.start()  # makes the schema
        service.stop()
        made = make(database, count)
        if times > 1:
            subprocess.run(
                [sys.executable, lab.REPO / "tests/bench/fill.py", database, str(times)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
        roots = [0]
        if kind != "sqlite":
            roots.append(int((lab.LAB / kind / "server.pid").read_text().split()[0]))
        started(service, roots)
        yield service, roots, made


def started(service: lab.Service, roots: list[int], extensions: str = EXTENSIONS) -> None:
    """Anew, with these extensions."""
    service.stop()
    service.config_file.write_text(
        lab.config_text(lab.merged(service.config, {"DEFAULT": {"enabled_extensions": extensions}}))
    )
    service.start()
    assert service.process is not None
    roots[0] = service.process.pid
    settled(roots)


def measured(
    port: int, roots: Sequence[int], asked: dict[str, list[str]], turns: int
) -> dict[str, list[tuple[float, float]]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    headers = {"X-Identity-Status": "Confirmed", "X-User-Id": "u", "X-Project-Id": CALLER, "X-Roles": "member,reader"}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
    rng = random.Random(1)
    for turn in range(turns + 1):
        for name in rng.sample(list(asked), len(asked)):
            count = max(1, ASKED // 10) if "1000" in name else ASKED
            paths = [rng.choice(asked[name]) for _ in range(count)] if turn else asked[name]
            before = [nanoseconds([x]) for x in roots]
            for path in paths:
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                if answer.status != 200:
                    raise RuntimeError(f"{path}: {answer.status} {answer.read()!r}")
                json.loads(answer.read())
            if turn:  # in the first one each is asked: where it has led is known from then on
                used = [(nanoseconds([x]) - y) / 1e6 / count for x, y in zip(roots, before, strict=True)]
                found[name].append((used[0], sum(used)))
    return found


# -- plans -----------------------------------------------------------------------------------------
_STEPS: list[dict[str, Any]] = [
    {"action": "deprecate", "age_days": 90},
    {"action": "hide", "beyond": 3},
    {"action": "delete", "past": "ends_at", "days": 30},
]
#: What a policy selects, by what is said of it.
POLICIES: dict[str, dict[str, Any]] = {
    "one family": {"selector": {"families": ["os-1/13"]}, "steps": _STEPS},
    "every image": {"selector": {"tags": ["a"]}, "steps": _STEPS},
    "every image, by its last use": {
        "selector": {"tags": ["a"]},
        "keep": {"newest": 3, "used_within_days": 30},
        "steps": [{"action": "delete", "unused_days": 90}],
    },
}


@dataclass(frozen=True)
class Planned:
    """``cpu``: of the service, and with the database's server, in seconds. ``grown``: MiB. ``due``: images that the
    policy has a step for."""

    cpu: tuple[float, float]
    seconds: float
    grown: float
    due: int


def planned(port: int, roots: Sequence[int]) -> dict[str, Planned]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
    headers = {
        "X-Identity-Status": "Confirmed",
        "X-User-Id": "u",
        "X-Project-Id": OWNER,
        "X-Roles": "member,reader",
        "Content-Type": "application/json",
    }

    def post(path: str, body: object = None) -> dict[str, Any]:
        connection.request("POST", path, headers=headers, body=None if body is None else json.dumps(body))
        answer = connection.getresponse()
        if answer.status != 201:
            raise RuntimeError(f"{path}: {answer.status} {answer.read()!r}")
        found: dict[str, Any] = json.loads(answer.read())
        return found

    found = {}
    for name, policy in POLICIES.items():
        made = post("/lifecycle/policies", {"name": name, **policy})["id"]
        before, began, had = [nanoseconds([x]) for x in roots], time.perf_counter(), _memory(roots[0], anew=True)
        plan = post(f"/lifecycle/policies/{made}/plans")
        took, used = (
            time.perf_counter() - began,
            [(nanoseconds([x]) - y) / 1e9 for x, y in zip(roots, before, strict=True)],
        )
        due = plan["left"] + len(plan["entries"])
        found[name] = Planned(
            (used[0], sum(used)),
            took,
            max(after - had.get(pid, after) for pid, after in _memory(roots[0]).items()),
            due,
        )
    return found


def _memory(root: int, *, anew: bool = False) -> dict[int, float]:
    """MiB that each process of the service has had at most; ``anew``: what it has now, from where that is counted."""
    found = {}
    for pid in tree(root):
        if anew:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        found[pid] = int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    return found


# -- the section -----------------------------------------------------------------------------------
Costs = dict[str, list[tuple[float, float]]]


def section(kind: str, images: int, families: int, costs: Costs, without: Costs, plans: dict[str, Planned]) -> str:
    both = kind != "sqlite"
    medians, bare = (
        {name: [statistics.median(x) for x in zip(*turns, strict=True)] for name, turns in found.items()}
        for found in (costs, without)
    )
    show = medians["show"]

    def figure(alone: float, whole: float, digits: int) -> str:
        return f"{alone:,.{digits}f}" + (f" ({whole:,.{digits}f})" if both else "")

    asked = [
        [
            name,
            figure(alone, whole, 2),
            figure(alone / show[0], whole / show[1], 2),
            figure(alone / bare[name][0], whole / bare[name][1], 2) if name in bare else "",
        ]
        for name, (alone, whole) in medians.items()
    ]
    made = [
        [name, f"{x.due:,}", figure(*x.cpu, 1), f"{x.seconds:,.0f}", f"{x.grown:,.0f}"] for name, x in plans.items()
    ]
    whose = "of the service, and in brackets with the database's server" if both else "of the service"
    return "\n".join(
        [
            f"{HEADING}: {NAMES[kind]}\n",
            (
                f"{images:,} images of one project, of which {families * VERSIONS:,} are versions of {families:,}"
                f" families; half of these are deprecated. CPU is that {whose}.\n"
            ),
            _table(["request", "CPU milliseconds", "times a show", "times the same without the extensions"], asked),
            (
                "A plan looks at all images of the project, whatever the policy selects, and keeps of the selected ones"
                " what matters to the policy.\n"
            ),
            _table(
                [
                    "the policy selects",
                    "images with a step due",
                    "CPU seconds",
                    "seconds by the clock",
                    "MiB more than before, at most",
                ],
                made,
            ),
        ]
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]) + "\n"


def report(
    kinds: Sequence[str] = ("sqlite", "mariadb"),
    families: int = FAMILIES,
    times: int = TIMES,
    turns: int = TURNS,
    only: str = "",
) -> str:
    """``only``: of the questions those with one of these words, comma-separated, and the show."""
    sections = []
    for kind in kinds:
        with served(kind, families, times) as (service, roots, made):
            images = families * VERSIONS * times
            say(f"{kind}: {images:,} images, {families:,} families")
            asked = {
                x: y for x, y in questions(made).items() if x == "show" or any(word in x for word in only.split(","))
            }
            costs = measured(service.port, roots, asked, turns)
            started(service, roots, "")
            without = measured(service.port, roots, {x: y for x, y in asked.items() if x in PLAIN}, turns)
            started(service, roots)
            say(f"{kind}: asked")
            sections.append(section(kind, images, families, costs, without, planned(service.port, roots)))
    return "\n".join(sections)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", type=int, default=FAMILIES)
    parser.add_argument("--times", type=int, default=TIMES)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--only", default="", help="of the questions those with one of these words, and the show")
    parser.add_argument("kinds", nargs="*", default=["sqlite", "mariadb"])
    options = parser.parse_args()
    for kind in options.kinds:
        print(report([kind], options.families, options.times, options.turns, options.only), flush=True)


if __name__ == "__main__":
    main()
