"""A whole service with the limits of a real Keystone."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import lab
import pytest
from backends import keystone_setup
from client import HEADERS_AUTH, Client
from waiting import until

MIB = 1 << 20


@pytest.fixture
def region() -> str:
    return f"limits-{secrets.token_hex(4)}"


@pytest.fixture
def service(region: str) -> Iterator[lab.Service]:
    url, port = lab.up("keystone").url, lab.free_port()
    keystone_setup.image_service(keystone_setup.Keystone(url), url, region, f"http://127.0.0.1:{port}", None)
    keystone_setup.set_limits(url, region, image_size_total=4, image_count_total=7, image_count_uploading=10)
    keystone_setup.set_limits(url, region, "alt_demo", image_count_total=2)
    config = lab.merged(
        HEADERS_AUTH,
        {
            "DEFAULT": {"quota_driver": "unified"},
            "quota_unified": {"cache_seconds": 0.2},
            "oslo_limit": {
                "auth_type": "password",
                "auth_url": url,
                "username": "glance",
                "password": "secret",
                "user_domain_id": "default",
                "system_scope": "all",
                "endpoint_id": keystone_setup.image_endpoint(url, region),
            },
        },
    )
    with lab.service(config, port=port) as made:
        yield made


def test_limits_hold_and_keystone_may_go_away(service: lab.Service, region: str) -> None:
    keystone = keystone_setup.Keystone(lab.up("keystone").url)
    demo, alt = (
        Client(service.url, keystone.ensure("project", {"name": name, "domain_id": "default"}))
        for name in ("demo", "alt_demo")
    )

    with ThreadPoolExecutor(8) as threads:
        for client, most in ((demo, 7), (alt, 2)):
            assert sorted(threads.map(_create, [client] * 16)) == [201] * most + [413] * (16 - most), (
                "no more, no fewer"
            )

    image, other = (x["id"] for x in demo.call("GET", "/v2/images").json()["images"][:2])
    assert demo.upload(image, bytes(3 * MIB)).status_code == 204
    refused = demo.upload(other, bytes(2 * MIB))
    assert refused.status_code == 413
    assert "image_size_total" in refused.text
    assert demo.call("GET", "/v2/info/usage").json() == {
        "usage": {
            "image_size_total": {"usage": 3, "limit": 4},
            "image_stage_total": {"usage": 0, "limit": 200_000},
            "image_count_total": {"usage": 7, "limit": 7},
            "image_count_uploading": {"usage": 0, "limit": 10},
        }
    }

    keystone_setup.set_limits(lab.up("keystone").url, region, "alt_demo", image_count_total=3)
    until(lambda: _create(alt) == 201, "what was remembered does not go out of date")
    assert _create(alt) == 413

    lab.down("keystone")
    assert demo.delete(other).status_code == 204
    assert _create(demo) == 201, "by the limits from before"
    assert _create(demo) == 413
    unknown = Client(service.url, "f" * 32).call(
        "POST", "/v2/images", {"disk_format": "raw", "container_format": "bare"}
    )
    assert unknown.status_code == 503
    assert "Keystone" in unknown.text
    lab.up("keystone")
    until(lambda: _create(Client(service.url, "f" * 32)) == 201, "what was remembered does not go out of date")


def _create(client: Client) -> int:
    answer = client.call("POST", "/v2/images", {"disk_format": "raw", "container_format": "bare"})
    assert answer.status_code in (201, 503) or "image_count_total" in answer.text, answer.text
    return answer.status_code
