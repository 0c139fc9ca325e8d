"""Imports in the bench: how fast staged data becomes an image, and what twenty imports at once do to everybody else."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import lab
from measure import PAGE, Client, Refused, cpu_seconds, tree

#: Imports at once, and what each fetches from nginx.
MANY, EACH = 20, 64 << 20


def create(client: Client) -> str:
    body = json.dumps({"name": "bench", "disk_format": "raw", "container_format": "bare"}).encode()
    return str(json.loads(client.request("POST", "/v2/images", body))["id"])


def begin(client: Client, image_id: str, **method: str) -> None:
    client.request("POST", f"/v2/images/{image_id}/import", json.dumps({"method": method}).encode())


def until_active(client: Client, image_ids: list[str], pause: float = 0.02, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    for image_id in image_ids:
        while (status := json.loads(client.request("GET", f"/v2/images/{image_id}"))["status"]) != "active":
            if status not in ("uploading", "importing") or time.monotonic() > end:
                raise Refused(f"an import ended as {status}")
            time.sleep(pause)


def direct(port: int, pid: int, headers: str, size: int, repeats: int) -> tuple[float, float]:
    """Stage and import ``size`` bytes: the best MiB/s from the first byte until the image is active, and the least
    CPU-s/GiB."""
    client, speeds, cpu = Client(port, headers), [], []
    for _ in range(repeats):
        image_id, before, began = create(client), cpu_seconds(pid), time.perf_counter()
        client.upload(f"/v2/images/{image_id}/stage", size)
        begin(client, image_id, name="glance-direct")
        until_active(client, [image_id])
        speeds.append(size / PAGE / (time.perf_counter() - began))
        cpu.append((cpu_seconds(pid) - before) / size * (1 << 30))
        client.request("DELETE", f"/v2/images/{image_id}")
    return max(speeds), min(cpu)


def beside_imports(port: int, headers: str, ids: list[str], seconds: float, rounds: int) -> tuple[float, float]:
    """The 99th percentile of a show in milliseconds: alone, and while twenty imports fetch from nginx. Medians of the
    rounds."""
    found = [_round(port, headers, ids, seconds) for _ in range(rounds)]
    return statistics.median(alone for alone, _ in found), statistics.median(busy for _, busy in found)


def _round(port: int, headers: str, ids: list[str], seconds: float) -> tuple[float, float]:
    alone = percentile(_shows(port, headers, ids, seconds, threading.Event()))
    web, root = lab.nginx(), Path(lab.nginx().settings["NGINX_ROOT"])
    assert (root / "64m.bin").stat().st_size == EACH
    client, done = Client(port, headers), threading.Event()
    image_ids = [create(client) for _ in range(MANY)]

    def watch() -> None:
        try:
            until_active(Client(port, headers), image_ids, pause=0.25)  # not what is to be measured
        finally:
            done.set()

    with _giving_way(int((lab.LAB / "nginx" / "nginx.pid").read_text())):
        for image_id in image_ids:
            begin(client, image_id, name="web-download", uri=f"{web.url}/64m.bin")
        watcher = threading.Thread(target=watch)
        watcher.start()
        busy = percentile(_shows(port, headers, ids, 600, done))
        watcher.join()
    for image_id in image_ids:
        client.request("DELETE", f"/v2/images/{image_id}")
    return alone, busy


@contextlib.contextmanager
def _giving_way(root: int) -> Iterator[None]:
    """The source's server is on our processors here, where nobody else's is: it is not to take them from the
    requests."""
    pids = list(tree(root))

    def nice(value: int) -> None:
        for pid in pids:
            os.setpriority(os.PRIO_PROCESS, pid, value)
        with contextlib.suppress(FileNotFoundError):  # where sessions share the processors, that counts only within one
            Path(f"/proc/{root}/autogroup").write_text(str(value))

    nice(19)
    try:
        yield
    finally:
        nice(0)


def _shows(port: int, headers: str, ids: list[str], seconds: float, until: threading.Event) -> list[float]:
    """Milliseconds of each; one client that pauses between, so that it does not load the service itself. It connects
    anew from time to time: each of the service's processes is to answer, also the one that runs the imports."""
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end and not until.is_set():
        client = Client(port, headers)
        for image_id in ids[:50]:
            began = time.perf_counter()
            client.request("GET", f"/v2/images/{image_id}")
            found.append(1000 * (time.perf_counter() - began))
            time.sleep(0.002)
        client.close()
    return found


def percentile(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]
