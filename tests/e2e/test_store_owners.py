"""Swift in multi-tenant mode, through the whole service: whose account each image lies in, who reads it, and that
nothing stays there."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator

import lab
import pytest
import requests
from client import BROKEN_OFF, HEADERS_AUTH, Client
from swiftclient import Connection

from glancecore.sdk.checkpoints import VARIABLE

DATA = os.urandom(9_000_000)


class Account:
    """One project's account, looked at with another client."""

    def __init__(self, project: str, container: str) -> None:
        swift = lab.backend("swift")
        url, self._container = swift.url.replace("/auth/v1.0", f"/v1/AUTH_{project}"), container
        login = Connection(
            authurl=swift.url,
            user=swift.settings["SWIFT_RESELLER_USER"],
            key=swift.settings["SWIFT_RESELLER_KEY"],
            auth_version="1",
        )
        token = login.get_auth()[1]
        login.close()
        self._connection = Connection(preauthurl=url, preauthtoken=token)

    def containers(self) -> list[str]:
        return [x["name"] for x in self._connection.get_account(prefix=self._container)[1]]

    def images(self) -> dict[str, bytes]:
        """Data by image; a key is the image's id and, from the second attempt to write it on, its number."""
        keys = [x.removeprefix(f"{self._container}_") for x in self.containers()]
        return {
            key.partition(".")[0]: bytes(self._connection.get_object(f"{self._container}_{key}", key)[1])
            for key in keys
        }

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def container() -> str:
    return f"owners-{os.urandom(4).hex()}"


@pytest.fixture(scope="module")
def service(container: str) -> Iterator[lab.Service]:
    swift = lab.backend("swift")
    with lab.service(
        lab.merged(
            HEADERS_AUTH,
            {
                "DEFAULT": {
                    "enabled_backends": "file:file, owners:swift",
                    "enabled_import_methods": "[glance-direct,copy-image]",
                },
                "lease": {"ttl": 2, "reap_interval": 0.2},
                "owners": {
                    "swift_store_auth_version": "1",
                    "swift_store_auth_address": swift.url,
                    "swift_store_user": swift.settings["SWIFT_RESELLER_USER"],
                    "swift_store_key": swift.settings["SWIFT_RESELLER_KEY"],
                    "swift_store_container": container,
                    "swift_store_multi_tenant": True,
                    "swift_store_create_container_on_put": True,
                    "swift_store_large_object_size": 4,
                    "swift_store_large_object_chunk_size": 4,
                },
            },
        ),
        start=False,
    ) as made:
        yield made


@pytest.fixture(autouse=True)
def stopped(service: lab.Service) -> Iterator[None]:
    yield
    service.stop()


@pytest.fixture
def running(service: lab.Service) -> lab.Service:
    service.start()
    return service


@pytest.fixture
def accounts(container: str) -> Iterator[dict[str, Account]]:
    made = {project: Account(project, container) for project in ("red", "blue", "admin")}
    yield made
    for account in made.values():
        assert account.containers() == [], "nothing stays in any account"
        account.close()


def begin_import(client: Client, image_id: str, method: str, store: str) -> None:
    answer = client.call("POST", f"/v2/images/{image_id}/import", {"method": {"name": method}, "stores": [store]})
    assert answer.status_code == 202, answer.text


def import_it(client: Client, image_id: str, method: str, store: str) -> None:
    begin_import(client, image_id, method, store)
    end = time.monotonic() + 60
    while (
        store not in client.show(image_id).get("stores", "").split(",") or client.show(image_id)["status"] != "active"
    ):
        assert time.monotonic() < end, client.call("GET", f"/v2/images/{image_id}/tasks").text
        time.sleep(0.1)


def test_images_lie_with_their_owners(running: lab.Service, accounts: dict[str, Account]) -> None:
    red, blue, admin = (
        Client(running.url, "red"),
        Client(running.url, "blue"),
        Client(running.url, "admin", "admin,member,reader"),
    )
    uploaded, imported, copied = (x.create()["id"] for x in (red, blue, red))
    assert red.upload(uploaded, DATA, **{"x-image-meta-store": "owners"}).status_code == 204
    assert (
        blue.call(
            "PUT", f"/v2/images/{imported}/stage", headers={"Content-Type": "application/octet-stream"}, data=DATA
        ).status_code
        == 204
    )
    import_it(blue, imported, "glance-direct", "owners")
    assert red.upload(copied, DATA).status_code == 204
    import_it(admin, copied, "copy-image", "owners")
    assert accounts["red"].images() == {uploaded: DATA, copied: DATA}
    assert accounts["blue"].images() == {imported: DATA}
    assert accounts["admin"].containers() == [], "whoever asks for it, it is the owner's"

    assert blue.download(uploaded).status_code == 404
    assert red.patch(uploaded, {"op": "replace", "path": "/visibility", "value": "shared"}).status_code == 200
    assert red.call("POST", f"/v2/images/{uploaded}/members", {"member": "blue"}).status_code == 200
    assert blue.call("PUT", f"/v2/images/{uploaded}/members/blue", {"status": "accepted"}).status_code == 200
    assert blue.download(uploaded).content == DATA
    part = blue.download(uploaded, Range="bytes=5000000-5000099")
    assert (part.status_code, part.content) == (206, DATA[5_000_000:5_000_100])

    # the data stays where it is when the image goes to another project
    assert admin.patch(uploaded, {"op": "replace", "path": "/owner", "value": "blue"}).status_code == 200
    assert blue.download(uploaded).content == DATA
    assert uploaded in accounts["red"].images()
    for client, image_id in ((blue, uploaded), (admin, imported), (red, copied)):
        assert client.delete(image_id).status_code == 204
        client.session.close()


@pytest.mark.parametrize("step", ["upload.all_pieces", "upload.after_put", "write.first_piece", "write.after_put"])
@pytest.mark.parametrize("moved", [False, True], ids=["", "owner changed"])
def test_killed_writer_leaves_nothing(
    service: lab.Service,
    accounts: dict[str, Account],
    container: str,
    step: str,
    moved: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, step)
    service.start()
    red = Client(service.url, "red", "admin,member,reader")
    image_id = red.create()["id"]
    if step.startswith("upload"):
        with pytest.raises(requests.ConnectionError):
            red.upload(image_id, DATA, **{"x-image-meta-store": "owners"})
    else:
        assert (
            red.call(
                "PUT", f"/v2/images/{image_id}/stage", headers={"Content-Type": "application/octet-stream"}, data=DATA
            ).status_code
            == 204
        )
        with contextlib.suppress(*BROKEN_OFF):
            begin_import(red, image_id, "glance-direct", "owners")
        service.until_killed()
    service.stop(signal.SIGKILL)
    left = accounts["red"].containers()  # an import is begun again with another key, until all of the service is dead
    assert left, "the dead writer has left something"
    assert all(x.startswith(f"{container}_{image_id}") for x in left)

    if moved:
        with sqlite3.connect(service.folder / "glance.sqlite") as connection:
            assert connection.execute("update images set owner = 'blue' where id = ?", (image_id,)).rowcount == 1
        connection.close()
    monkeypatch.delenv(VARIABLE)
    service.start()
    end = time.monotonic() + 30
    stable = "queued" if step.startswith("upload") else "active"  # an import is taken up again
    client = Client(service.url, "blue" if moved else "red", "admin,member,reader")
    while client.show(image_id)["status"] != stable:
        assert time.monotonic() < end, client.show(image_id)
        time.sleep(0.1)
    if stable == "active":
        assert client.download(image_id).content == DATA
    else:
        assert accounts["red"].containers() == accounts["blue"].containers() == []
    assert client.delete(image_id).status_code == 204
    client.session.close()
