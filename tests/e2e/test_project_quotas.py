"""Limits of projects in a running service with several workers: set while it runs, over each database."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import lab
import pytest
from client import HEADERS_AUTH, Client
from waiting import until


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql"])
def service(request: pytest.FixtureRequest) -> Iterator[lab.Service]:
    with (
        lab.new_database(request.param) as database,
        lab.service({**HEADERS_AUTH, "server": {"workers": 2}}, database=database) as made,
    ):
        yield made


def create(url: str, project: str) -> int:
    """On a connection of its own, which any worker may get."""
    return Client(url, project).call("POST", "/v2/images", {}).status_code


def test_every_process_keeps_them_without_a_restart(service: lab.Service) -> None:
    assert {create(service.url, "p") for _ in range(8)} == {201}, "each process has read that there is none"
    service.manage("quota", "set", "p", "--image-count-total", "8")
    until(lambda: [create(service.url, "p") for _ in range(8)] == [413] * 8)
    assert json.loads(service.manage("--json", "quota", "show", "p"))["resources"]["image_count_total"]["limit"] == 8
    usage = Client(service.url, "p").call("GET", "/v2/info/usage").json()["usage"]["image_count_total"]
    assert usage["limit"] == 8
    assert usage["usage"] >= 8
    service.manage("quota", "set", "p", "--image-count-total", str(usage["usage"] + 1))
    until(lambda: create(service.url, "p") == 201)
    assert create(service.url, "p") == 413
    service.manage("quota", "unset", "p")
    until(lambda: [create(service.url, "p") for _ in range(8)] == [201] * 8)


def test_parallel_requests_do_not_go_over_it(service: lab.Service) -> None:
    service.manage("quota", "set", "many", "--image-count-total", "5")
    begin = threading.Barrier(12)

    def one(_: int) -> int:
        begin.wait()
        return create(service.url, "many")

    with ThreadPoolExecutor(12) as pool:
        assert sorted(pool.map(one, range(12))) == [201] * 5 + [413] * 7


def test_commands_and_requests_at_once_lose_nothing(service: lab.Service) -> None:
    admin = Client(service.url, "admins", "admin,member,reader")

    def command(resource: str) -> None:
        service.manage("quota", "set", "busy", f"--{resource.replace('_', '-')}", "5")

    with ThreadPoolExecutor(4) as pool:
        commands = [pool.submit(command, x) for x in ("image_size_total", "image_count_uploading")]
        answers = [pool.submit(admin.call, "PATCH", "/v2/quotas/busy", {"image_count_total": x}) for x in range(20)]
        assert [x.result().status_code for x in answers] == [200] * 20
        for each in commands:
            each.result()
    limits = admin.call("GET", "/v2/quotas/busy").json()["limits"]
    assert limits.keys() == {"image_size_total", "image_count_total", "image_count_uploading"}
    assert limits["image_count_uploading"] == 5
