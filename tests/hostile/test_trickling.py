"""A web server that a user named and that trickles stops nobody else's work, and holds nothing for long."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))

import lab
from api import Person
from trickling import Trickler
from waiting import until

from glancecore import conf as configuration
from glancecore.assembly.build import build
from glancecore.assembly.kernel import load_database
from glancecore.assembly.lifecycle import Service
from glancecore.domain import errors
from glancecore.features.cache.extension import CacheExtension
from glancecore.features.images import location_hashing
from glancecore.features.images.extension import ImagesExtension

pytestmark = pytest.mark.long

MIB = 1 << 20
DATA = os.urandom(MIB)


@pytest.fixture
def web() -> Iterator[Trickler]:
    made = Trickler()
    made.files["/fast"] = DATA
    yield made
    made.close()


@contextlib.contextmanager
def served(folder: Path, config: lab.Config | None = None) -> Iterator[Service]:
    file = folder / "glance-api.conf"
    file.write_text(
        lab.config_text(
            lab.merged(
                {
                    "DEFAULT": {
                        "auth_strategy": "headers",
                        "enabled_backends": "fast:file, web:http",
                        "notifiers": "",
                        "location_lookup_timeout": 2,
                    },
                    "glance_store": {"default_backend": "fast"},
                    "database": {"connection": f"sqlite:///{folder}/glance.sqlite"},
                    "fast": {"filesystem_store_datadir": folder / "fast"},
                    "web": {"http_store_allowed_hosts": "127.0.0.1"},
                },
                config or {},
            )
        )
    )
    conf = configuration.new(files=[str(file)])
    database = load_database(conf)
    database.sync()
    made = build(conf, database)
    try:
        yield made
    finally:
        made.close()


def somebody(service: Service, name: str = "a") -> Person:
    return Person(service.app, f"{name}-{uuid.uuid4().hex[:6]}")


def add(person: Person, url: str, status: int = 202, **fields: object) -> str:
    image_id = str(person.create(**fields)["id"])
    answer = person.call("POST", f"/v2/images/{image_id}/locations", {"url": url})
    assert answer.status_code == status, answer.text
    return image_id


def show(person: Person, image_id: str) -> dict[str, Any]:
    return dict(person.call("GET", f"/v2/images/{image_id}").json or {})


def test_the_hashing_of_others_goes_on(web: Trickler, tmp_path: Path) -> None:
    web.files["/slow"] = bytes(100)
    web.slow.add("/slow")
    with served(tmp_path) as service:
        hostile, other = somebody(service, "hostile"), somebody(service)
        for _ in range(6):
            add(hostile, f"{web.url}/slow")
        until(lambda: web.open == 2)
        image_id = add(other, f"{web.url}/fast")
        until(lambda: show(other, image_id)["os_hash_value"])
        assert web.open == 2, "the share of a project, and they are still at it"


def test_who_is_too_slow_is_given_up(web: Trickler, tmp_path: Path) -> None:
    web.files["/slow"] = bytes(MIB)
    web.slow.add("/slow")
    with served(tmp_path, {"web": {"http_store_min_fetch_rate": 1000, "http_store_fetch_rate_window": 1}}) as service:
        hostile = somebody(service, "hostile")
        image_id = add(hostile, f"{web.url}/slow")
        until(lambda: web.open == 1)
        until(lambda: web.open == 0)
        until(
            lambda: (hostile.call("GET", f"/v2/images/{image_id}/tasks").json or {})["tasks"][0]["status"] == "failure"
        )
        (task,) = (hostile.call("GET", f"/v2/images/{image_id}/tasks").json or {})["tasks"]
        assert "too slow: less than 1000 bytes a second" in task["message"]
        assert show(hostile, image_id)["os_hash_value"] is None


def test_images_that_are_deleted_leave_no_work(web: Trickler, tmp_path: Path) -> None:
    web.files["/slow"] = bytes(MIB)
    web.slow.add("/slow")
    with served(tmp_path) as service:
        hostile, hashing = somebody(service, "hostile"), service.of(ImagesExtension).hashing
        kept = [add(hostile, f"{web.url}/slow") for _ in range(2)]
        until(lambda: web.open == 2)
        for _ in range(30):
            assert hostile.call("DELETE", f"/v2/images/{add(hostile, f'{web.url}/slow')}").status_code == 204
        assert sum(x.name.startswith("hash") for x in threading.enumerate()) <= location_hashing.AT_ONCE
        assert len(hashing._works) == 2, "of those that are there"
        for image_id in kept:
            assert hostile.call("DELETE", f"/v2/images/{image_id}").status_code == 204
        until(lambda: web.open == 0)
        until(lambda: not hashing._works)


def test_a_look_at_the_end_of_endless_data_gives_its_place_back(web: Trickler, tmp_path: Path) -> None:
    with served(tmp_path) as service:
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(
                lambda name: add(name, f"{web.url}/endless", 400, disk_format="vhd"),
                [somebody(service, "b")] * 2 + [somebody(service, "c")] * 2,
            ):
                pass
        add(somebody(service), f"{web.url}/fast")  # not: 503
        until(lambda: web.open == 0)


def test_a_fill_that_trickles_does_not_keep_the_cache(web: Trickler, tmp_path: Path) -> None:
    web.files["/b"] = os.urandom(3 * MIB)
    config: lab.Config = {
        "DEFAULT": {"image_cache_dir": tmp_path / "cache", "image_cache_max_size": 3 * MIB},
        "web": {"http_store_min_fetch_rate": 1000, "http_store_fetch_rate_window": 1},
    }
    with served(tmp_path, config) as service:
        hostile, other = somebody(service, "hostile"), somebody(service)
        image_id = add(hostile, f"{web.url}/b")
        until(lambda: show(hostile, image_id)["os_hash_value"])
        mine = str(other.create()["id"])
        assert other.upload(mine, DATA).status_code == 204
        web.slower.add("/b")
        caching = service.of(CacheExtension).caching
        assert caching is not None

        def download() -> None:
            with contextlib.suppress(errors.GlanceError):  # broken off
                _ = hostile.call("GET", f"/v2/images/{image_id}/file").data

        get = threading.Thread(target=download, daemon=True)
        get.start()
        until(lambda: web.open == 1)
        assert other.call("GET", f"/v2/images/{mine}/file").data == DATA
        assert not list(caching._cache.driver.entries()), "there is no room now"

        def cached() -> bool:
            assert other.call("GET", f"/v2/images/{mine}/file").data == DATA
            return [x.image_id for x in caching._cache.driver.entries()] == [mine]

        until(cached)
        get.join()
