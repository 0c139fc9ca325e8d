"""Imports by a real service: stage, import, fetch from a real nginx, copy; what a client sees while it runs and
after."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from client import HEADERS_AUTH, Client
from importing import DATA, leftovers, stage, start, tasks, two_stores, until_ended


@pytest.fixture(scope="module")
def www() -> Path:
    return Path(lab.nginx().settings["NGINX_ROOT"])


@pytest.fixture(scope="module", params=[True, False], ids=["process", "threads"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    folder = tmp_path_factory.mktemp("stores")
    port = lab.nginx().url.rpartition(":")[2]
    config = lab.merged(
        HEADERS_AUTH,
        two_stores(folder),
        {
            "lease": {"ttl": 2, "reap_interval": 0.2},
            "imports": {"retry_pause": 0.1, "attempts": 3, "own_process": request.param},
            "import_filtering_opts": {"allowed_ports": f"[80, 443, {port}]", "trusted_networks": "[127.0.0.1]"},
        },
    )
    with lab.service(config, folder=folder) as made:
        yield made


@pytest.fixture
def client(service: lab.Service) -> Client:
    return Client(service.url)


@pytest.fixture
def admin(service: lab.Service) -> Client:
    return Client(service.url, roles="admin,member,reader")


def test_staged_data_is_imported_by_link(client: Client, service: lab.Service) -> None:
    image = client.create()
    assert stage(client, image["id"]).status_code == 204
    shown = client.show(image["id"])
    assert (shown["status"], shown["size"]) == ("uploading", len(DATA))
    [staged] = [x for x in (service.folder / "fast" / ".staging").iterdir() if x.is_file()]
    inode = staged.stat().st_ino
    answer = start(client, image["id"])
    assert (answer.status_code, answer.content) == (202, b"")
    task = until_ended(client, image["id"])
    assert task["status"] == "success", task
    shown = client.show(image["id"])
    assert shown["status"] == "active"
    assert shown["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert shown["checksum"] == hashlib.md5(DATA).hexdigest()
    assert shown["stores"] == "fast"
    assert (shown["os_glance_importing_to_stores"], shown["os_glance_failed_import"]) == ("", "")
    assert "os_glance_import_task" not in shown
    assert client.download(image["id"]).content == DATA
    assert (service.folder / "fast" / image["id"]).stat().st_ino == inode, "moved, not copied"
    assert leftovers(service) == []


def test_into_all_stores(client: Client, service: lab.Service) -> None:
    image = client.create()
    assert stage(client, image["id"]).status_code == 204
    assert start(client, image["id"], all_stores=True).status_code == 202
    assert until_ended(client, image["id"])["status"] == "success"
    assert client.show(image["id"])["stores"] == "fast,slow"
    one, two = (service.folder / x / image["id"] for x in ("fast", "slow"))
    assert one.read_bytes() == two.read_bytes() == DATA
    assert one.stat().st_ino != two.stat().st_ino
    assert client.delete(image["id"]).status_code == 204


@pytest.mark.parametrize("path", ["", "norange/", "redirected"])
def test_web_download(client: Client, service: lab.Service, www: Path, path: str) -> None:
    (www / "image.raw").write_bytes(DATA)
    url = f"{lab.nginx().url}/{path}image.raw" if path != "redirected" else f"{lab.nginx().url}/redirect"
    image = client.create()
    assert start(client, image["id"], "web-download", method={"uri": url}).status_code == 202
    task = until_ended(client, image["id"])
    assert task["status"] == "success", task
    shown = client.show(image["id"])
    assert shown["status"] == "active"
    expected = (www / "64m.bin").read_bytes() if path == "redirected" else DATA
    assert shown["os_hash_value"] == hashlib.sha512(expected).hexdigest()
    assert task["progress"]["stores"] == [{"store": "fast", "state": "done", "bytes": len(expected), "error": None}]
    assert leftovers(service) == []


def test_a_staged_image_that_is_deleted_leaves_nothing(client: Client, service: lab.Service) -> None:
    image = client.create()
    assert stage(client, image["id"]).status_code == 204
    assert len([x for x in leftovers(service) if image["id"] in x]) == 1
    assert client.delete(image["id"]).status_code == 204
    assert leftovers(service) == []


def test_an_image_deleted_while_it_is_imported_leaves_nothing(client: Client, service: lab.Service, www: Path) -> None:
    (www / "deleted.raw").write_bytes(bytes(30 << 20))
    image = client.create()
    assert (
        start(client, image["id"], "web-download", method={"uri": f"{lab.nginx().url}/slow/deleted.raw"}).status_code
        == 202
    )
    end = time.monotonic() + 20
    while tasks(client, image["id"])[0]["progress"]["bytes"] == 0:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (
        start(client, image["id"], "web-download", method={"uri": f"{lab.nginx().url}/deleted.raw"}).status_code == 409
    )
    task_id = tasks(client, image["id"])[0]["id"]
    assert client.delete(image["id"]).status_code == 204
    assert client.call("GET", f"/v2/images/{image['id']}").status_code == 404
    admin = Client(service.url, roles="admin,member,reader")
    while (task := admin.call("GET", f"/v2/tasks/{task_id}").json())["status"] != "failure" or leftovers(service):
        assert time.monotonic() < end, (task, leftovers(service))
        time.sleep(0.1)
    assert (task["error"], task["message"]) == ("gone", "the image was deleted")


def test_copy_image(client: Client, admin: Client, service: lab.Service) -> None:
    image = client.create()
    assert client.upload(image["id"], DATA).status_code == 204
    assert start(client, image["id"], "copy-image", stores=["slow"]).status_code == 403
    assert start(admin, image["id"], "copy-image", stores=["fast"]).status_code == 400
    before = client.show(image["id"])
    assert start(admin, image["id"], "copy-image", stores=["slow"]).status_code == 202
    assert until_ended(client, image["id"])["status"] == "success"
    after = client.show(image["id"])
    assert after["stores"] == "fast,slow"
    assert {x: after[x] for x in ("status", "size", "checksum", "os_hash_value")} == {
        x: before[x] for x in ("status", "size", "checksum", "os_hash_value")
    }
    assert start(admin, image["id"], "copy-image", all_stores=True).status_code == 202
    assert len(tasks(client, image["id"])) == 1


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_service_that_has_imported_stops_at_once(tmp_path: Path, parallel: int) -> None:
    """Its import threads end, and can be waited for."""
    with lab.service(
        lab.merged(HEADERS_AUTH, two_stores(tmp_path), {"imports": {"max_parallel_stores": parallel}}), folder=tmp_path
    ) as service:
        client = Client(service.url)
        image_id = client.create()["id"]
        assert stage(client, image_id).status_code == 204
        start(client, image_id, all_stores=True)
        assert until_ended(client, image_id)["status"] == "success"
        client.session.close()
        service.stop()
        assert "did not stop" not in service.tail(1000)


def test_a_stopped_service_hands_over_its_imports(www: Path, tmp_path: Path) -> None:
    """Without that, the lease would have to expire first."""
    (www / "handed.raw").write_bytes(DATA)
    config = lab.merged(
        HEADERS_AUTH,
        two_stores(tmp_path),
        {
            "lease": {"ttl": 600, "reap_interval": 0.2},
            "imports": {"workers": 1},
            "import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]"},
        },
    )
    with lab.service(config, folder=tmp_path) as service:
        client = Client(service.url)
        image_ids = [client.create()["id"] for _ in range(2)]  # one runs, one waits
        for image_id in image_ids:
            assert (
                start(
                    client, image_id, "web-download", method={"uri": f"{lab.nginx().url}/slow/handed.raw"}
                ).status_code
                == 202
            )
        end = time.monotonic() + 20
        while not any(tasks(client, x)[0]["progress"]["bytes"] for x in image_ids):
            assert time.monotonic() < end
            time.sleep(0.05)
        service.stop()
        service.start()
        for image_id in image_ids:
            assert until_ended(client, image_id, 40)["status"] == "success"
            assert client.download(image_id).content == DATA
        assert leftovers(service) == []


@pytest.mark.parametrize("own_process", [True, False])
def test_an_import_that_waits_for_its_turn_is_not_called_given_up(tmp_path: Path, www: Path, own_process: bool) -> None:
    (www / "turns.raw").write_bytes(bytes(4 << 20))  # four seconds, and a lease is good for two
    config = lab.merged(
        HEADERS_AUTH,
        two_stores(tmp_path),
        {
            "lease": {"ttl": 2, "reap_interval": 0.2},
            "imports": {"workers": 1, "own_process": own_process},
            "import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]"},
        },
    )
    with lab.service(config, folder=tmp_path) as service:
        client = Client(service.url)
        ids = [str(client.create()["id"]) for _ in range(3)]
        for image_id in ids:
            assert (
                start(client, image_id, "web-download", method={"uri": f"{lab.nginx().url}/slow/turns.raw"}).status_code
                == 202
            )
        for image_id in ids:
            assert until_ended(client, image_id)["status"] == "success"
        assert "given up" not in service.log.read_text()
