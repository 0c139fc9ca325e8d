"""What a request costs through glance-registry, beside the same over the database itself: CPU time of all our
processes.

PYTHONPATH=tests python tests/bench/registry.py [SECONDS]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import lab
import registries
from measure import Client, cost, cpu_seconds

WHO = (
    "X-Identity-Status: Confirmed\r\nX-User-Id: u\r\nX-Project-Id: bench\r\nX-Roles: member,reader\r\nAccept:"
    " application/json\r\n"
)
IMAGES = 1000


def fill(client: Client) -> str:
    """The id of one of the images, each with 5 properties and 3 tags."""
    image_id = ""
    for number in range(IMAGES):
        body = {
            "name": f"image {number}",
            "disk_format": "raw",
            "container_format": "bare",
            "tags": [f"t{number % 7}", "common", f"n{number}"],
            **{f"property_{x}": f"value {x} {number}" for x in range(5)},
        }
        image_id = json.loads(client.request("POST", "/v2/images", json.dumps(body).encode()))["id"]
    return str(image_id)


def operations(client: Client, image_id: str) -> dict[str, Callable[[], object]]:
    patch = json.dumps([{"op": "replace", "path": "/property_1", "value": "other"}]).encode()
    new = json.dumps({"name": "new", "disk_format": "raw", "container_format": "bare"}).encode()
    return {
        "show": lambda: client.request("GET", f"/v2/images/{image_id}"),
        "list of 20": lambda: client.request("GET", "/v2/images?limit=20"),
        "list by tag": lambda: client.request("GET", "/v2/images?limit=20&tag=t3"),
        "list of 1000": lambda: client.request("GET", "/v2/images?limit=1000"),
        "patch": lambda: client.request(
            "PATCH", f"/v2/images/{image_id}", patch, "application/openstack-images-v2.1-json-patch"
        ),
        "create": lambda: client.request("POST", "/v2/images", new),
    }


def measured(node: lab.Service, image_id: str, seconds: float, *others: int) -> dict[str, float]:
    client = Client(node.port, WHO)
    assert node.process is not None
    found = {}
    for name, run in operations(client, image_id).items():
        for _ in range(50 if "1000" not in name else 3):
            run()
        before = sum(map(cpu_seconds, others))
        told = cost(node.process.pid, lambda _, run=run: run, 1, seconds)  # type: ignore[misc]
        found[name] = told.cpu_ms + 1000 * (sum(map(cpu_seconds, others)) - before) / told.count
    client.close()
    return found


def main(seconds: float) -> None:
    auth: lab.Config = {
        "DEFAULT": {"auth_strategy": "headers", "workers": 1, "notifiers": "", "enabled_import_methods": "[]"}
    }
    with lab.new_database("mariadb") as url, lab.service(auth, database=url) as direct:
        client = Client(direct.port, WHO)
        image_id = fill(client)
        client.close()
        with (
            registries.registry(url, {"DEFAULT": {"workers": 1}}) as served,
            lab.service(lab.merged(auth, {"database": served.client})) as node,
        ):
            assert served.process is not None
            one, other = measured(direct, image_id, seconds), measured(node, image_id, seconds, served.process.pid)
    print(f"{'CPU ms of all our processes':28} {'direct':>8} {'registry':>9} {'ratio':>6}")
    for name, value in one.items():
        print(f"{name:28} {value:8.2f} {other[name]:9.2f} {other[name] / value:6.2f}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 5)
