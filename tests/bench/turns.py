"""Downloads beside nginx, which serves the very same file: by turns, and the median of many, as neither is steady."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import lab
from measure import PAGE, Client, Refused, cpu_seconds


class Medians(NamedTuple):
    """MiB/s of the service and of nginx, CPU-s/GiB of the service."""

    ours: float
    nginx: float
    cpu: float


def beside_nginx(client: Client, path: str, pid: int, file: Path, turns: int) -> Medians:
    """``client`` downloads ``path`` of the service ``pid``; ``file`` is what it sends."""
    nginx, size = lab.nginx(), file.stat().st_size
    link = Path(nginx.settings["NGINX_ROOT"], "bench.bin")
    link.unlink(missing_ok=True)
    os.link(file, link)
    other = Client(urlsplit(nginx.url).port or 0)
    ours, theirs, cpu = list[float](), list[float](), list[float]()
    for _ in range(turns):
        before = cpu_seconds(pid)
        ours.append(timed(client, path, size))
        cpu.append((cpu_seconds(pid) - before) / size * (1 << 30))
        theirs.append(timed(other, "/bench.bin", size))
    link.unlink()
    return Medians(*map(statistics.median, (ours, theirs, cpu)))


def timed(client: Client, path: str, size: int) -> float:
    """MiB/s of one download. Raises Refused."""
    began = time.perf_counter()
    if (got := client.download(path)) != size:
        raise Refused(f"{path}: {got} bytes, not {size}")
    return size / PAGE / (time.perf_counter() - began)
