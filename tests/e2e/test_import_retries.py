"""A failed import is tried again from where it failed: what was fetched, and what steps have made of it, is used and
not made again."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lab
import pytest
from client import HEADERS_AUTH, Client
from importing import leftovers, stage, start, tasks, two_stores, until_ended, without_slow
from periodic import ALONE, Jobs, kinds

MIB = 1 << 20
RAW = bytes(range(256)) * 4096 + bytes(MIB)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """RAW as a compressed qcow2."""
    lab.need("qemu-utils")
    folder = tmp_path_factory.mktemp("packed")
    (folder / "raw").write_bytes(RAW)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", folder / "raw", folder / "qcow2"], check=True)
    return gzip.compress((folder / "qcow2").read_bytes())


@contextmanager
def serving(folder: Path, **imports: Any) -> Iterator[lab.Service]:
    config = lab.merged(
        HEADERS_AUTH,
        ALONE,
        two_stores(folder),
        {
            "lease": {"ttl": 2, "reap_interval": 0.2},
            "imports": {"retry_pause": 0.05, "attempts": 2, **imports},
            "image_import_opts": {
                "image_import_plugins": "[image_decompression, image_conversion, inject_image_metadata]"
            },
            "image_conversion": {"output_format": "raw"},
            "inject_metadata_properties": {"inject": "os_distro:debian", "ignore_user_roles": "nobody"},
            "import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]"},
        },
    )
    with lab.service(config, folder=folder) as made:
        yield made


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    with serving(tmp_path_factory.mktemp("stores")) as made:
        yield made


@pytest.fixture
def client(service: lab.Service) -> Client:
    return Client(service.url)


def retry(client: Client, image_id: str, task: dict[str, Any]) -> Any:
    return client.call("POST", f"/v2/images/{image_id}/tasks/{task['id']}/actions/retry")


def failed_download(client: Client, service: lab.Service, packed: bytes, **method: Any) -> tuple[str, dict[str, Any]]:
    """A queued image whose import has fetched, unpacked and converted the data, and found a store away. The source is
    gone since."""
    source = Path(lab.nginx().settings["NGINX_ROOT"], "retried.qcow2.gz")
    source.write_bytes(packed)
    image_id = client.create(disk_format="qcow2")["id"]
    with without_slow(service):
        answer = start(
            client,
            image_id,
            "web-download",
            method={"uri": f"{lab.nginx().url}/{source.name}", **method},
            stores=["fast", "slow"],
        )
        assert answer.status_code == 202, answer.text
        task = until_ended(client, image_id)
    source.unlink()
    assert (task["status"], task["error"]) == ("failure", "store_unavailable"), task
    shown = client.show(image_id)
    assert (shown["status"], shown["disk_format"], shown["size"], "os_distro" in shown) == (
        "queued",
        "qcow2",
        None,
        False,
    )
    return image_id, task


def staged_files(service: lab.Service) -> list[Path]:
    return [service.folder / "fast" / ".staging" / x for x in leftovers(service)]


def check(client: Client, image_id: str) -> None:
    shown = client.show(image_id)
    assert (shown["status"], shown["disk_format"], shown["size"], shown["stores"]) == (
        "active",
        "raw",
        len(RAW),
        "fast,slow",
    ), shown
    assert (shown["os_distro"], shown["os_hash_value"]) == ("debian", hashlib.sha512(RAW).hexdigest())
    for store in ("fast", "slow"):
        assert client.call("GET", f"/v2/images/{image_id}/file?prefer={store}").content == RAW


def until_nothing_is_kept(client: Client, service: lab.Service, image_id: str | None = None) -> None:
    end = time.monotonic() + 20
    while leftovers(service) or (image_id and any(x["kept_until"] for x in tasks(client, image_id))):
        assert time.monotonic() < end, leftovers(service)
        time.sleep(0.05)


def test_a_download_is_not_made_again(client: Client, service: lab.Service, packed: bytes) -> None:
    image_id, failed = failed_download(client, service, packed, expected={"sha256": hashlib.sha256(packed).hexdigest()})
    assert failed["kept_until"] > failed["updated_at"]
    [kept] = staged_files(service)
    assert kept.stat().st_size == len(RAW), "what the steps have made is what is kept"
    inode = kept.stat().st_ino
    assert retry(client, image_id, failed).status_code == 202
    task = until_ended(client, image_id)
    assert task["status"] == "success", task
    check(client, image_id)
    assert (service.folder / "fast" / image_id).exists() or list((service.folder / "fast").glob(f"{image_id}.*"))
    assert inode in [x.stat().st_ino for x in (service.folder / "fast").glob(f"{image_id}*")], (
        "the very file that was kept"
    )
    assert [x["kept_until"] for x in tasks(client, image_id)] == [None, None]
    assert leftovers(service) == []
    assert client.delete(image_id).status_code == 204


def test_what_is_kept_is_no_leftover(client: Client, service: lab.Service, packed: bytes) -> None:
    image_id, failed = failed_download(client, service, packed)
    [kept] = staged_files(service)
    time.sleep(1.5)  # so that it is older than the grace
    (kept.parent / f"{image_id}.0123456789abcdef").write_bytes(b"left behind")
    time.sleep(1.5)
    assert kinds(Jobs(service).run("orphans", env={"OS_PERIODIC_ORPHANS__GRACE": "1"})) == ["leftover"]
    assert staged_files(service) == [kept]
    assert retry(client, image_id, failed).status_code == 202
    assert until_ended(client, image_id)["status"] == "success"
    assert client.delete(image_id).status_code == 204


def test_it_may_fail_often(client: Client, service: lab.Service, packed: bytes) -> None:
    image_id, task = failed_download(client, service, packed)
    with without_slow(service):
        for _ in range(3):
            assert retry(client, image_id, task).status_code == 202
            task = until_ended(client, image_id)
            assert (task["status"], task["error"], client.show(image_id)["disk_format"]) == (
                "failure",
                "store_unavailable",
                "qcow2",
            ), task
            assert len(leftovers(service)) == 1
            assert [x["kept_until"] is not None for x in tasks(client, image_id)] == [
                True,
                *[False] * (len(tasks(client, image_id)) - 1),
            ]
    assert retry(client, image_id, task).status_code == 202
    assert until_ended(client, image_id)["status"] == "success"
    check(client, image_id)
    assert client.delete(image_id).status_code == 204


def test_staged_data_that_was_converted_is_what_was_expected(
    client: Client, service: lab.Service, packed: bytes
) -> None:
    image_id = client.create(disk_format="qcow2")["id"]
    assert stage(client, image_id, packed).status_code == 204
    method = {"expected": {"sha256": hashlib.sha256(packed).hexdigest()}}
    with without_slow(service):
        assert start(client, image_id, method=method, stores=["fast", "slow"]).status_code == 202
        failed = until_ended(client, image_id)
    assert failed["error"] == "store_unavailable", failed
    shown = client.show(image_id)
    assert (shown["status"], shown["disk_format"], "os_distro" in shown) == ("uploading", "qcow2", False)
    # nobody knows this digest of what was staged, and the data stays for one that is known
    assert (
        start(
            client,
            image_id,
            method={"expected": {"sha224": hashlib.sha224(packed).hexdigest()}},
            stores=["fast", "slow"],
        ).status_code
        == 202
    )
    unknown = until_ended(client, image_id)
    assert unknown["error"] == "import_failed", unknown
    assert "sha224" in unknown["message"]
    assert "sha256" in unknown["message"]
    assert client.show(image_id)["status"] == "uploading"
    assert retry(client, image_id, failed).status_code == 202
    task = until_ended(client, image_id)
    assert task["status"] == "success", task
    check(client, image_id)
    assert client.delete(image_id).status_code == 204


def test_a_wrong_digest_of_converted_data_is_found(client: Client, service: lab.Service, packed: bytes) -> None:
    image_id = client.create(disk_format="qcow2")["id"]
    assert stage(client, image_id, packed).status_code == 204
    with without_slow(service):
        assert start(client, image_id, stores=["fast", "slow"]).status_code == 202
        assert until_ended(client, image_id)["error"] == "store_unavailable"
    assert (
        start(client, image_id, method={"expected": {"md5": hashlib.md5(RAW).hexdigest()}}, stores=["fast"]).status_code
        == 202
    )
    task = until_ended(client, image_id)
    assert task["error"] == "hash_mismatch", task
    assert hashlib.md5(packed).hexdigest() in task["message"], "it is about the data as it came"
    assert client.delete(image_id).status_code == 204
    assert leftovers(service) == []


@pytest.mark.parametrize("what", ["upload", "stage", "import", "delete"])
def test_what_is_kept_goes_when_the_image_needs_it_no_more(
    client: Client, service: lab.Service, packed: bytes, what: str
) -> None:
    image_id, failed = failed_download(client, service, packed)
    if what == "upload":
        assert client.upload(image_id, gzip.decompress(packed)).status_code == 204
    elif what == "stage":
        assert stage(client, image_id, packed).status_code == 204
        assert start(client, image_id).status_code == 202
        assert until_ended(client, image_id)["status"] == "success"
    elif what == "import":
        assert start(client, image_id, "web-download", method={"uri": f"{lab.nginx().url}/missing"}).status_code == 202
        assert until_ended(client, image_id)["error"] == "fetch_failed"
    assert client.delete(image_id).status_code == 204
    until_nothing_is_kept(client, service)
    assert retry(client, image_id, failed).status_code == 404


def test_what_is_kept_goes_in_time(tmp_path: Path, packed: bytes) -> None:
    with serving(tmp_path, keep_for=1) as service:
        client = Client(service.url)
        image_id, failed = failed_download(client, service, packed)
        until_nothing_is_kept(client, service, image_id)
        # then a retry begins at the beginning
        assert retry(client, image_id, failed).status_code == 202
        assert until_ended(client, image_id)["error"] == "fetch_failed"


def test_nothing_is_kept(tmp_path: Path, packed: bytes) -> None:
    with serving(tmp_path, keep_for=0) as service:
        client = Client(service.url)
        _, failed = failed_download(client, service, packed)
        assert failed["kept_until"] is None
        assert leftovers(service) == []


def test_nothing_is_kept_where_room_is_short(tmp_path: Path, packed: bytes) -> None:
    folder = tmp_path / "fast"
    folder.mkdir()
    lab._run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder])
    try:
        with serving(tmp_path) as service:
            client = Client(service.url)
            _, failed = failed_download(client, service, packed)
            assert failed["kept_until"] is None
            assert leftovers(service) == []
    finally:
        lab._run(["umount", folder])
