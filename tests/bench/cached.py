"""Downloads from our image cache beside nginx on the very same file, taking turns; bench.py's part, or alone.

    cached.py [MIB]
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import lab
from measure import PAGE, Client, Refused, cpu_seconds

HEADERS = "X-Identity-Status: Confirmed\r\nX-User-Id: bench\r\nX-Project-Id: bench\r\nX-Roles: admin,member,reader\r\n"
#: What is measured, and what we want.
FIGURES = {"download that fills the cache MiB/s": "", "cached download MiB/s": "≥ 0.9 of nginx",
           "nginx on the cached file MiB/s": "(same file, same run)", "cached download CPU-s/GiB": ""}


def against_nginx(size: int, repeats: int) -> dict[str, float]:
    """MiB/s of the download that fills the cache; the medians of those from it, and of nginx; CPU-s/GiB of those from it."""
    cache = lab.LAB / "bench-cache"
    config: lab.Config = {"DEFAULT": {"auth_strategy": "headers", "workers": 2, "image_cache_dir": cache, "image_cache_max_size": 4 * size},
              "server": {"threads": 8}}
    with lab.service(config) as service:
        assert service.process is not None
        client = Client(service.port, HEADERS)
        image_id = json.loads(client.request("POST", "/v2/images", json.dumps({"disk_format": "raw", "container_format": "bare"}).encode()))["id"]
        path = f"/v2/images/{image_id}/file"
        client.upload(path, size, chunked=False)
        _, first = _timed(client, path, size)
        while not json.loads(client.request("GET", "/v2/cache"))["cached_images"]:
            time.sleep(0.05)
        entry, = (cache / "data").iterdir()
        nginx = lab.nginx()
        link = Path(nginx.settings["NGINX_ROOT"], "bench-cached.bin")
        link.unlink(missing_ok=True)
        os.link(entry, link)
        other = Client(urlsplit(nginx.url).port or 0)
        mine, theirs, cpu = list[float](), list[float](), list[float]()
        for _ in range(max(repeats, 3) * 5):  # neither is steady
            before = cpu_seconds(service.process.pid)
            mine.append(_timed(client, path, size)[1])
            cpu.append((cpu_seconds(service.process.pid) - before) / size * (1 << 30))
            theirs.append(_timed(other, "/bench-cached.bin", size)[1])
        link.unlink()
        client.request("DELETE", f"/v2/images/{image_id}")
    return dict(zip(FIGURES, (first, statistics.median(mine), statistics.median(theirs), statistics.median(cpu)), strict=True))


def _timed(client: Client, path: str, size: int) -> tuple[int, float]:
    began = time.perf_counter()
    if (got := client.download(path)) != size:
        raise Refused(f"{path}: {got} bytes, not {size}")
    return got, size / PAGE / (time.perf_counter() - began)


if __name__ == "__main__":
    print(json.dumps(against_nginx((int(sys.argv[1]) if sys.argv[1:] else 1024) << 20, 5), indent=1))
