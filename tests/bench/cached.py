"""Downloads from our image cache beside nginx; bench.py's part, or alone.

cached.py [MIB]
"""

from __future__ import annotations

import json
import sys
import time

import lab
from measure import Client
from turns import beside_nginx, timed

HEADERS = "X-Identity-Status: Confirmed\r\nX-User-Id: bench\r\nX-Project-Id: bench\r\nX-Roles: admin,member,reader\r\n"
#: What is measured, and what we want.
FIGURES = {
    "download that fills the cache MiB/s": "",
    "cached download MiB/s": "≥ 0.9 of nginx",
    "nginx on the cached file MiB/s": "(same file, same run)",
    "cached download CPU-s/GiB": "",
}


def against_nginx(size: int, turns: int) -> dict[str, float]:
    """MiB/s of the download that fills the cache; the medians of those from it, and of nginx; CPU-s/GiB of those from
    it."""
    cache = lab.LAB / "bench-cache"
    config: lab.Config = {
        "DEFAULT": {
            "auth_strategy": "headers",
            "workers": 2,
            "image_cache_dir": cache,
            "image_cache_max_size": 4 * size,
        },
        "server": {"threads": 8},
    }
    with lab.service(config) as service:
        assert service.process is not None
        client = Client(service.port, HEADERS)
        image_id = json.loads(
            client.request(
                "POST", "/v2/images", json.dumps({"disk_format": "raw", "container_format": "bare"}).encode()
            )
        )["id"]
        path = f"/v2/images/{image_id}/file"
        client.upload(path, size)
        first = timed(client, path, size)
        while not json.loads(client.request("GET", "/v2/cache"))["cached_images"]:
            time.sleep(0.05)
        (entry,) = (cache / "data").iterdir()
        medians = beside_nginx(client, path, service.process.pid, entry, turns)
        client.request("DELETE", f"/v2/images/{image_id}")
    return dict(zip(FIGURES, (first, *medians), strict=True))


if __name__ == "__main__":
    print(json.dumps(against_nginx((int(sys.argv[1]) if sys.argv[1:] else 1024) << 20, 25), indent=1))
