"""Imports as a client begins and awaits them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lab
from client import Client

DATA = os.urandom(5_000_000)
OCTETS = {"Content-Type": "application/octet-stream"}


def two_stores(folder: str | Path = ".") -> lab.Config:
    return {
        "DEFAULT": {"enabled_backends": "fast:file, slow:file"},
        "glance_store": {"default_backend": "fast"},
        "fast": {"filesystem_store_datadir": f"{folder}/fast", "weight": 10},
        "slow": {"filesystem_store_datadir": f"{folder}/slow"},
    }


def stage(client: Client, image_id: str, data: bytes = DATA) -> Any:
    return client.session.put(f"{client.url}/v2/images/{image_id}/stage", data=data, headers=OCTETS, timeout=60)


def start(
    client: Client, image_id: str, name: str = "glance-direct", *, method: dict[str, Any] | None = None, **more: Any
) -> Any:
    return client.call("POST", f"/v2/images/{image_id}/import", {"method": {"name": name, **(method or {})}, **more})


def tasks(client: Client, image_id: str) -> list[dict[str, Any]]:
    answer = client.call("GET", f"/v2/images/{image_id}/tasks")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["tasks"])


def until_ended(client: Client, image_id: str, seconds: float = 30) -> dict[str, Any]:
    """The newest task, once it has ended."""
    end = time.monotonic() + seconds
    while (found := tasks(client, image_id)[0])["status"] not in ("success", "failure"):
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def leftovers(service: lab.Service) -> list[str]:
    staging = service.folder / "fast" / ".staging"
    return sorted(
        str(x.relative_to(staging)) for x in staging.rglob("*") if x.name != ".work" and ".locks" not in x.parts
    )


@contextmanager
def without_slow(service: lab.Service) -> Iterator[None]:
    """The second store is away; a file stands in its place, as its driver would make a folder."""
    place = service.folder / "slow"
    away = place.rename(service.folder / "slow.away")
    place.touch()
    try:
        yield
    finally:
        place.unlink()
        away.rename(place)
