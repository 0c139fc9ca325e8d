"""Uploads in the bench, by every way, in turns with a bare receiver, which is what this machine can do at most (see
bare.py)."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import lab
from imports import create, until_active
from measure import PAGE, Client, Refused, cpu_seconds

#: Connections at once of a parallel upload.
PARTS = 4
PIECE = "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
OFFSETS = "application/offset+octet-stream"
BARE = "bare receiver"
#: By the ways of the core, which Glance has as well, and by those of extensions; what each is to reach, as a share of
#: the bare receiver's speed.
CORE, EXTENSIONS = (
    ("upload", "upload chunked"),
    ("upload by tus", "upload by a resumable PUT", f"upload by tus, {PARTS} parts at once"),
)
GOALS = dict.fromkeys((*CORE, *EXTENSIONS), f"≥ 0.95 of the {BARE}")


@dataclass
class Seen:
    """Of one way: MiB/s and CPU-s/GiB of each turn."""

    speeds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@contextlib.contextmanager
def bare(folder: Path) -> Iterator[tuple[int, int]]:
    """Its port and its process. ``folder``: on the disk that the service's store is on."""
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".bench") as made,
        subprocess.Popen(
            [sys.executable, lab.REPO / "tests/bench/bare.py", made], stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


def measure(
    port: int, pid: int, headers: str, folder: Path, size: int, turns: int, ways: tuple[str, ...]
) -> dict[str, float]:
    """Medians. From the first byte until the image is active, whichever way it took."""
    seen = {name: Seen() for name in (BARE, *ways)}
    with bare(folder) as (bare_port, bare_pid):
        for _ in range(turns):
            _timed(seen[BARE], bare_pid, size, lambda: _to_bare(bare_port, size))
            for name in ways:
                client = Client(port, headers)
                image_id = create(client)
                upload = partial(WAYS[name], client, image_id, size)
                _timed(seen[name], pid, size, partial(_until_active, client, image_id, upload))
                client.request("DELETE", f"/v2/images/{image_id}")
                client.close()
    found: dict[str, float] = {}
    for name, each in seen.items():
        found[f"{name} MiB/s"], found[f"{name} CPU-s/GiB"] = statistics.median(each.speeds), statistics.median(each.cpu)
        found[f"{name}, share"] = statistics.median(x / y for x, y in zip(each.speeds, seen[BARE].speeds, strict=True))
    return found


def _timed(seen: Seen, pid: int, size: int, call: Callable[[], None]) -> None:
    before, began = cpu_seconds(pid), time.perf_counter()
    call()
    seen.speeds.append(size / PAGE / (time.perf_counter() - began))
    seen.cpu.append((cpu_seconds(pid) - before) / size * (1 << 30))


def _until_active(client: Client, image_id: str, call: Callable[[], None]) -> None:
    call()
    until_active(client, [image_id])


def _to_bare(port: int, size: int) -> None:
    client = Client(port)
    client.upload("/", size)
    client.close()


# -- the ways --------------------------------------------------------------------------------------
def _plain(client: Client, image_id: str, size: int) -> None:
    client.upload(f"/v2/images/{image_id}/file", size)


def _chunked(client: Client, image_id: str, size: int) -> None:
    client.upload(f"/v2/images/{image_id}/file", size, chunked=True)


def _resumable(client: Client, image_id: str, size: int) -> None:
    client.upload(f"/v2/images/{image_id}/file", size, headers="Upload-Complete: ?1\r\n")


def _tus(client: Client, image_id: str, size: int) -> None:
    place = client.place("POST", f"/v2/images/{image_id}/uploads", f"Tus-Resumable: 1.0.0\r\nUpload-Length: {size}\r\n")
    client.upload(place, size, method="PATCH", kind=OFFSETS, headers=PIECE)


def _parts(client: Client, image_id: str, size: int) -> None:
    share, asked = size // PARTS, f"/v2/images/{image_id}/uploads"
    places = [
        client.place("POST", asked, f"Tus-Resumable: 1.0.0\r\nUpload-Concat: partial\r\nUpload-Length: {share}\r\n")
        for _ in range(PARTS)
    ]
    errors: list[BaseException] = []

    def send(place: str) -> None:
        try:
            other = Client(client.port, client.headers)
            other.upload(place, share, method="PATCH", kind=OFFSETS, headers=PIECE)
            other.close()
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=send, args=(x,)) for x in places]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if errors:
        raise errors[0]
    client.place("POST", asked, f"Tus-Resumable: 1.0.0\r\nUpload-Concat: final;{' '.join(places)}\r\n")


WAYS: dict[str, Callable[[Client, str, int], None]] = dict(
    zip((*CORE, *EXTENSIONS), (_plain, _chunked, _tus, _resumable, _parts), strict=True)
)


# -- small images ----------------------------------------------------------------------------------
def small_imports(port: int, pid: int, headers: str, count: int, pause: float) -> dict[str, float]:
    """Images of 1,000 bytes that eight clients create, stage and import, ``count`` together, until all are active; and
    one after ``pause`` seconds of rest. Who waits asks seldom: a question costs as much as a step of an import."""
    client, data = Client(port, headers), bytes(1000)

    def begun(client: Client) -> str:
        image_id = create(client)
        client.request("PUT", f"/v2/images/{image_id}/stage", data, "application/octet-stream")
        client.request(
            "POST", f"/v2/images/{image_id}/import", json.dumps({"method": {"name": "glance-direct"}}).encode()
        )
        return image_id

    def work(made: list[str]) -> None:
        mine = Client(port, headers)
        made += [begun(mine) for _ in range(count // 8)]
        mine.close()

    until_active(client, [begun(client)])
    lists = [list[str]() for _ in range(8)]
    before, began = cpu_seconds(pid), time.perf_counter()
    threads = [threading.Thread(target=work, args=(x,)) for x in lists]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    made = [x for each in lists for x in each]
    if len(made) != count // 8 * 8:
        raise Refused("an import could not be begun")
    until_active(client, made, pause=0.2)
    took, used = time.perf_counter() - began, cpu_seconds(pid) - before
    time.sleep(pause)
    began = time.perf_counter()
    last = begun(client)
    until_active(client, [last], pause=0.01)
    first = time.perf_counter() - began
    for image_id in (*made, last):
        client.request("DELETE", f"/v2/images/{image_id}")
    return {
        "small imports a second": len(made) / took,
        "small import CPU ms": 1000 * used / len(made),
        "small import after a pause, s": first,
    }
