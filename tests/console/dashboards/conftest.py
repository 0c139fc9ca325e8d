"""What a dashboard is tried against: our service in Keystone's catalogue, in a region of the module's (``REGION``)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
import requests

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[lab.Service]:
    port = lab.free_port()
    with lab.service(lab.keystone_config(request.module.REGION, f"http://127.0.0.1:{port}"), port=port) as made:
        made.manage("metadefs", "load")
        yield made


@pytest.fixture
def images(service: lab.Service) -> Callable[[], list[dict[str, Any]]]:
    """Those that demo sees, at each call."""
    asked = {
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": "demo", "domain": {"id": "default"}, "password": "secret"}},
            },
            "scope": {"project": {"name": "demo", "domain": {"id": "default"}}},
        }
    }

    def call() -> list[dict[str, Any]]:
        token = requests.post(f"{lab.keystone().url}/auth/tokens", json=asked, timeout=60).headers["X-Subject-Token"]
        return list(
            requests.get(f"{service.url}/v2/images", headers={"X-Auth-Token": token}, timeout=60).json()["images"]
        )

    return call
