"""A real, bootable image: made a qcow2 and compressed, served by a real nginx, imported, unpacked, converted, injected,
stored in a folder and in Swift, while a client watches. And what must be refused on the way: each with a clear, typed
failure, nothing left, and the image can be imported again."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import lab
import pytest
from client import HEADERS_AUTH, Client
from images import samples
from importing import leftovers, stage, start, tasks, two_stores, until_ended
from stores import REMOTES

ISO = Path("/usr/lib/grub-rescue/grub-rescue-cdrom.iso")
MIB = 1 << 20


@pytest.fixture(scope="module")
def www() -> Path:
    lab.need("grub-rescue-pc", "qemu-utils", "zstd")
    return Path(lab.nginx().settings["NGINX_ROOT"])


@pytest.fixture(scope="module")
def service(www: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    folder = tmp_path_factory.mktemp("stores")
    config = lab.merged(
        HEADERS_AUTH,
        two_stores(folder),
        {
            "DEFAULT": {"image_size_cap": 300 * MIB, "enabled_backends": "fast:file, slow:swift"},
            "lease": {"ttl": 2, "reap_interval": 0.2},
            "imports": {"retry_pause": 0.05, "attempts": 3},
            "image_import_opts": {
                "image_import_plugins": "[image_decompression, image_conversion, inject_image_metadata]"
            },
            "image_decompression": {"max_ratio": 100},
            "image_conversion": {"output_format": "raw"},
            "inject_metadata_properties": {
                "inject": "os_distro:debian, hw_disk_bus:virtio",
                "ignore_user_roles": "admin",
            },
            "import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]", "timeout": 1},
        },
    )
    config["slow"] = REMOTES["swift"].options(folder)
    with lab.service(config, folder=folder) as made:
        yield made


@pytest.fixture
def client(service: lab.Service) -> Client:
    return Client(service.url)


@pytest.fixture(scope="module")
def bootable(www: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A 64 MiB disk that begins with a bootable hybrid ISO, as qcow2; and the same as raw bytes."""
    folder = tmp_path_factory.mktemp("bootable")
    raw, disk = folder / "disk.raw", folder / "disk.qcow2"
    raw.write_bytes(ISO.read_bytes())
    with raw.open("r+b") as file:
        file.seek(32 * MIB)
        file.write(os.urandom(4 * MIB))  # so that it stays large, and takes some seconds to fetch
        file.truncate(64 * MIB)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk], check=True)
    return disk, raw.read_bytes()


def web(client: Client, image_id: str, url: str, **more: Any) -> Any:
    return start(client, image_id, "web-download", method={"uri": url, **more.pop("method", {})}, **more)


def pack(kind: str, data: bytes, out: Path) -> None:
    if kind == "gz":  # two members
        out.write_bytes(gzip.compress(data[:100]) + gzip.compress(data[100:]))
    elif kind == "xz":
        out.write_bytes(lzma.compress(data, preset=1))
    elif kind == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("disk", data)
    else:
        subprocess.run(["zstd", "-q", "-f", "-o", out], input=data, check=True)


@pytest.mark.parametrize("kind", ["gz", "xz", "zst", "zip"])
def test_a_bootable_image_from_the_web(
    client: Client, service: lab.Service, www: Path, bootable: tuple[Path, bytes], kind: str
) -> None:
    disk, raw = bootable
    pack(kind, disk.read_bytes(), www / f"disk.qcow2.{kind}")
    packed = hashlib.sha256((www / f"disk.qcow2.{kind}").read_bytes()).hexdigest()
    image = client.create(disk_format="qcow2", name=f"grub from {kind}")
    began = web(
        client,
        image["id"],
        f"{lab.nginx().url}/slow/disk.qcow2.{kind}",
        method={"expected": {"sha256": packed}},
        all_stores=True,
    )
    assert began.status_code == 202, began.text
    seen = watch(client, image["id"])
    [task] = tasks(client, image["id"])
    assert task["status"] == "success", task
    assert any(x["progress"]["bytes"] > 0 and x["status"] == "processing" for x in seen), (
        "progress was seen while it ran"
    )
    assert any(x["message"].startswith("Copied ") for x in seen)
    shown = client.show(image["id"])
    assert (shown["status"], shown["disk_format"], shown["size"], shown["stores"]) == (
        "active",
        "raw",
        len(raw),
        "fast,slow",
    )
    assert shown["os_hash_value"] == hashlib.sha512(raw).hexdigest()
    assert (shown["os_distro"], shown["hw_disk_bus"]) == ("debian", "virtio")
    for store in ("fast", "slow"):
        assert client.call("GET", f"/v2/images/{image['id']}/file?prefer={store}").content == raw
    assert leftovers(service) == []
    assert client.delete(image["id"]).status_code == 204


def watch(client: Client, image_id: str) -> list[dict[str, Any]]:
    """Every state of the task that a client sees until its end."""
    seen: list[dict[str, Any]] = []
    end = time.monotonic() + 60
    while True:
        [task] = tasks(client, image_id)
        if task not in seen:
            seen.append(task)
        if task["status"] in ("success", "failure"):
            return seen
        assert time.monotonic() < end, task
        time.sleep(0.05)


def test_an_administrators_import_is_left_as_it_is(service: lab.Service) -> None:
    admin = Client(service.url, roles="admin,member,reader")
    image = admin.create()
    assert stage(admin, image["id"], b"x" * 1000).status_code == 204
    assert start(admin, image["id"]).status_code == 202
    assert until_ended(admin, image["id"])["status"] == "success"
    assert "os_distro" not in admin.show(image["id"])


# -- what is refused -------------------------------------------------------------------------------
def check_refused(
    client: Client, service: lab.Service, image_id: str, code: str, words: str, disk_format: str = "qcow2"
) -> None:
    task = until_ended(client, image_id)
    assert (task["status"], task["error"]) == ("failure", code), task
    assert words in task["message"]
    for secret in ("/", "127.0.0.1", "Traceback"):
        assert secret not in task["message"].replace("and/or", "")
    shown = client.show(image_id)
    assert (shown["status"], shown["size"], shown["os_glance_last_error"]) == ("queued", None, task["message"])
    assert shown["disk_format"] == disk_format
    assert "os_distro" not in shown
    assert leftovers(service) == []
    assert not [x for x in (service.folder / "fast").iterdir() if x.name.startswith(image_id)]
    # and it can be imported again
    assert stage(client, image_id, samples.path("qcow2").read_bytes()).status_code == 204
    assert start(client, image_id).status_code == 202
    assert until_ended(client, image_id)["status"] == "success"
    assert client.delete(image_id).status_code == 204


@pytest.mark.parametrize("kind", ["gz", "xz", "zst", "zip"])
def test_a_bomb(client: Client, service: lab.Service, www: Path, kind: str) -> None:
    pack(kind, bytes(200 * MIB), www / f"bomb.{kind}")
    assert (www / f"bomb.{kind}").stat().st_size < 2 * MIB
    image = client.create(disk_format="qcow2")
    assert web(client, image["id"], f"{lab.nginx().url}/bomb.{kind}").status_code == 202
    check_refused(client, service, image["id"], "decompression_refused", "ratio")


@pytest.mark.parametrize("kind", ["gz", "xz", "zst", "zip"])
def test_a_cut_archive(
    client: Client, service: lab.Service, www: Path, bootable: tuple[Path, bytes], kind: str
) -> None:
    pack(kind, bootable[0].read_bytes(), www / f"cut.{kind}")
    with (www / f"cut.{kind}").open("r+b") as file:
        file.truncate((www / f"cut.{kind}").stat().st_size - 100)
    image = client.create(disk_format="qcow2")
    assert web(client, image["id"], f"{lab.nginx().url}/cut.{kind}").status_code == 202
    check_refused(client, service, image["id"], "decompression_refused", "damaged")


@pytest.mark.parametrize("name", ["qcow2-backing-file", "qcow2-data-file"])
def test_a_disk_that_names_other_files(client: Client, service: lab.Service, www: Path, name: str) -> None:
    (www / "bad.qcow2").write_bytes(samples.path(name).read_bytes())
    image = client.create(disk_format="qcow2")
    assert web(client, image["id"], f"{lab.nginx().url}/bad.qcow2").status_code == 202
    check_refused(client, service, image["id"], "unsafe_content", "qcow2")


def test_a_wrong_format(client: Client, service: lab.Service, www: Path) -> None:
    (www / "no.qcow2").write_bytes(b"no disk at all" * 1000)
    image = client.create(disk_format="qcow2")
    assert web(client, image["id"], f"{lab.nginx().url}/no.qcow2").status_code == 202
    check_refused(client, service, image["id"], "format_mismatch", "qcow2")


def test_a_wrong_digest(client: Client, service: lab.Service, www: Path) -> None:
    (www / "fine.qcow2").write_bytes(samples.path("qcow2").read_bytes())
    image = client.create(disk_format="qcow2")
    assert (
        web(client, image["id"], f"{lab.nginx().url}/fine.qcow2", method={"expected": {"sha256": "0" * 64}}).status_code
        == 202
    )
    check_refused(client, service, image["id"], "hash_mismatch", "0" * 64)


# -- servers that lie ------------------------------------------------------------------------------
class Liar(BaseHTTPRequestHandler):
    """A web server that does what the path says. ``tries`` counts requests by path."""

    protocol_version = "HTTP/1.1"
    tries: dict[str, int] = {}
    data = bytes(range(256)) * 8192

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        name = self.path.strip("/")
        self.tries[name] = self.tries.get(name, 0) + 1
        getattr(self, f"answer_{name}")()

    def _head(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()

    def answer_short(self) -> None:
        """Always ends before what it said."""
        self._head(200, Content_Length=len(self.data))
        self.wfile.write(self.data[:1000])
        self.close_connection = True

    def answer_endless(self) -> None:
        """Never ends."""
        self._head(200, Transfer_Encoding="chunked")
        piece = b"%x\r\n%s\r\n" % (len(self.data), self.data)
        while True:
            self.wfile.write(piece)

    def answer_silent(self) -> None:
        self._head(200, Content_Length=len(self.data))
        self.wfile.write(self.data[:1000])
        self.wfile.flush()
        time.sleep(3)
        self.close_connection = True

    def answer_loopback(self) -> None:
        self._head(302, Location="http://127.0.0.2:80/", Content_Length=0)

    def answer_missing(self) -> None:
        self._head(404, Content_Length=0)

    def _part(self, etag: str, step: int) -> None:
        """``step`` bytes at a time, then the connection breaks."""
        begin = (
            int((self.headers.get("Range") or "bytes=0-").partition("=")[2].rstrip("-"))
            if self.headers.get("If-Range") == etag
            else 0
        )
        if begin:
            self._head(
                206,
                Content_Range=f"bytes {begin}-{len(self.data) - 1}/{len(self.data)}",
                Content_Length=len(self.data) - begin,
                ETag=etag,
            )
        else:
            self._head(200, Content_Length=len(self.data), ETag=etag)
        self.wfile.write(self.data[begin : begin + step])
        self.close_connection = True

    def answer_breaking(self) -> None:
        self._part('"one"', 300_000)

    def answer_changing(self) -> None:
        self._part(f'"{self.tries["changing"]}"', 300_000)


@pytest.fixture(scope="module")
def liar() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("short", "fetch_failed", "less than it said"),
        ("endless", "too_large", "image_size_cap"),
        ("silent", "fetch_failed", "timeout"),
        ("loopback", "fetch_failed", "refused"),
        ("missing", "fetch_failed", "404"),
        ("changing", "fetch_failed", "changed"),
    ],
)
def test_a_lying_server(client: Client, service: lab.Service, liar: str, path: str, code: str, words: str) -> None:
    image = client.create(disk_format="qcow2")
    assert web(client, image["id"], f"{liar}/{path}").status_code == 202
    check_refused(client, service, image["id"], code, words)


def test_a_breaking_download_goes_on_where_it_ended(client: Client, service: lab.Service, liar: str) -> None:
    image = client.create()
    assert web(client, image["id"], f"{liar}/breaking").status_code == 202
    assert until_ended(client, image["id"])["status"] == "success"
    assert client.download(image["id"]).content == Liar.data
    assert Liar.tries["breaking"] == -(-len(Liar.data) // 300_000)


# -- cancelling ------------------------------------------------------------------------------------
def test_cancel_and_retry(client: Client, service: lab.Service, www: Path) -> None:
    (www / "long.raw").write_bytes(bytes(20 * MIB))
    image = client.create()
    assert web(client, image["id"], f"{lab.nginx().url}/slow/long.raw").status_code == 202
    [task] = tasks(client, image["id"])
    path = f"/v2/images/{image['id']}/tasks/{task['id']}/actions"
    assert client.call("POST", f"{path}/retry").status_code == 409
    assert client.call("POST", f"{path}/cancel").status_code == 202
    task = until_ended(client, image["id"])
    assert (task["status"], task["error"], task["cancel_requested"]) == ("failure", "cancelled", True)
    assert client.show(image["id"])["status"] == "queued"
    assert leftovers(service) == []
    (www / "slow").mkdir(exist_ok=True)
    (www / "long.raw").write_bytes(bytes(MIB))
    assert client.call("POST", f"{path}/retry").status_code == 202
    assert until_ended(client, image["id"])["status"] == "success"
    assert len(tasks(client, image["id"])) == 2
