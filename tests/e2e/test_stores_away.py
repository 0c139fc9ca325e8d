"""A store that was fine goes away: processes that start meanwhile serve with the others, and use it when it is back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lab
import pytest
from client import HEADERS_AUTH, Client
from importing import start, two_stores, until_ended

DATA = os.urandom(100_000)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[lab.Service]:
    config = lab.merged(
        HEADERS_AUTH,
        two_stores(tmp_path),
        {
            "lease": {"ttl": 2, "reap_interval": 0.2},
            "imports": {"retry_pause": 0.05, "attempts": 2},
            "import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]"},
        },
    )
    Path(lab.nginx().settings["NGINX_ROOT"], "away.raw").write_bytes(DATA)
    with lab.service(config, folder=tmp_path) as made:
        yield made


def away(service: lab.Service, store: str) -> Callable[[], None]:
    """A file stands where the store's folder was; what is returned puts it back."""
    place = service.folder / store
    kept = place.rename(service.folder / f"{store}.away")
    place.touch()

    def back() -> None:
        place.unlink()
        kept.rename(place)

    return back


def new_workers(service: lab.Service) -> None:
    """All processes that serve are killed, and others have taken their place."""
    old = set(service.workers)
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 30
    while not set(service.workers) - old or any(lab.state(x) not in "ZX" for x in old):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert lab.answers(service.port, 30)


def until_uploaded(client: Client, store: str) -> str:
    """An image in that store, as soon as it takes one."""
    end = time.monotonic() + 30
    while True:
        image_id = str(client.create()["id"])
        answer = client.upload(image_id, DATA, **{"x-image-meta-store": store})
        if answer.status_code == 204:
            return image_id
        assert answer.status_code in (400, 503), answer.text
        assert time.monotonic() < end, answer.text
        time.sleep(0.2)


@pytest.mark.parametrize("store", ["slow", "fast"])
def test_processes_that_start_meanwhile(service: lab.Service, store: str) -> None:
    other = {"slow": "fast", "fast": "slow"}[store]
    client = Client(service.url)
    there, gone = until_uploaded(client, other), until_uploaded(client, store)
    back = away(service, store)
    new_workers(service)
    client = Client(service.url)
    assert client.download(there).content == DATA
    assert client.download(gone).status_code == 503
    assert client.show(gone)["status"] == "active"
    assert until_uploaded(client, other)
    back()
    assert until_uploaded(client, store)
    assert client.download(gone).content == DATA
    # and nothing was forgotten by the start in between
    for image_id in (there, gone):
        assert client.delete(image_id).status_code == 204


def test_imports_into_the_other_store(service: lab.Service) -> None:
    client = Client(service.url)
    back = away(service, "slow")
    image_id = str(client.create()["id"])
    uri = f"{lab.nginx().url}/away.raw"
    assert start(client, image_id, "web-download", method={"uri": uri}, stores=["fast"]).status_code == 202
    assert until_ended(client, image_id)["status"] == "success"
    back()
    image_id = str(client.create()["id"])
    assert start(client, image_id, "web-download", method={"uri": uri}, stores=["slow"]).status_code == 202
    assert until_ended(client, image_id)["status"] == "success", "by the process that had started without this store"
    assert client.download(image_id).content == DATA
