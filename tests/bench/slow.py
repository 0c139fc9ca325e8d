"""Others' requests beside a crowd of slow clients; bench.py's part, or alone.

1,000 connections without a header, 500 uploads at 1 KiB/s and 500 downloads at 50 KiB/s of two projects, against a
service with the defaults."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import lab
from imports import percentile
from measure import Client

#: What is measured, and what we want.
FIGURES = {
    "healthcheck p99 ms alone": "",
    "healthcheck p99 ms beside 2,000 slow clients": "≤ 5 times as much",
    "show p99 ms alone (defaults)": "",
    "show p99 ms beside 2,000 slow clients": "≤ 5 times as much",
    "a worker's memory meanwhile, MiB": "≤ 300",
    "slow transfers that arrived, of 1,000": "1000",
}
ROUNDS = 30


def headers(project: str) -> str:
    return f"X-Identity-Status: Confirmed\r\nX-User-Id: u\r\nX-Project-Id: {project}\r\nX-Roles: member,reader\r\n"


def create(client: Client) -> str:
    body = json.dumps({"disk_format": "raw", "container_format": "bare"}).encode()
    return str(json.loads(client.request("POST", "/v2/images", body))["id"])


def beside_slow_clients(seconds: float = 15) -> dict[str, float]:
    with lab.service({"DEFAULT": {"auth_strategy": "headers", "workers": 2}}) as service:
        other = Client(service.port, headers("other"))
        own = create(other)
        alone = _probed(service.port, own, seconds / 2)
        uploads, downloads = [], []
        for name in ("one", "two"):
            client = Client(service.port, headers(name))
            source = create(client)
            client.upload(f"/v2/images/{source}/file", 8 << 20)
            uploads += [[headers(name), create(client), bool(number % 2)] for number in range(250)]
            downloads += [[headers(name), source]] * 250
        options = service.folder / "crowd.json"
        options.write_text(
            json.dumps(
                {
                    "waiting": 1000,
                    "uploads": uploads,
                    "downloads": downloads,
                    "up": 1024,
                    "down": 50 << 10,
                    "rounds": ROUNDS,
                }
            )
        )
        with subprocess.Popen(
            [sys.executable, lab.REPO / "tests" / "crowd.py", service.url, options], stdout=subprocess.PIPE, text=True
        ) as crowd:
            assert crowd.stdout is not None
            crowd.stdout.readline()
            time.sleep(1)
            beside = _probed(service.port, own, seconds)
            memory = max(_resident(pid) for pid in service.workers)
            answers = json.loads(crowd.stdout.read())["answers"]
    arrived = sum(count for what, count in answers.items() if " 204 " in what or what == "download whole")
    return dict(zip(FIGURES, (alone[0], beside[0], alone[1], beside[1], memory, arrived), strict=True))


def _probed(port: int, image_id: str, seconds: float) -> tuple[float, float]:
    """The p99 of a health check and of a show, on connections that are kept and on new ones in turn, in
    milliseconds."""
    times: dict[str, list[float]] = {"/healthcheck": [], f"/v2/images/{image_id}": []}
    kept, end = Client(port, headers("other")), time.monotonic() + seconds
    while time.monotonic() < end:
        for path, found in times.items():
            for client in (kept, None):
                began = time.perf_counter()
                used = client or Client(port, headers("other"))
                used.request("GET", path)
                found.append(1000 * (time.perf_counter() - began))
                if client is None:
                    used.close()
    kept.close()
    health, show = (percentile(x) for x in times.values())
    return health, show


def _resident(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(x for x in text.splitlines() if x.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(beside_slow_clients(), indent=1))
