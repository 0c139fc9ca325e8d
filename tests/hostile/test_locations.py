"""No location lets anybody read or remove other people's bytes, hold a thread of the service, or change data behind its
hash."""

from __future__ import annotations

import hashlib
import re
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))

import lab
from api import Person

from glancecore import conf as configuration
from glancecore.assembly.build import build
from glancecore.assembly.kernel import load_database
from glancecore.assembly.lifecycle import Service
from glancecore.domain import errors
from glancecore.domain.lease import Lease
from glancecore.features.images.extension import ImagesExtension
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.store_settings import StoreSettings
from glancecore.ports.repository import ImageChanged
from glancecore.ports.store import Cap
from glancecore.testing.memory_store import MemoryStore
from glancecore.testing.store import make_store

pytestmark = pytest.mark.long

SECRET = b"A's private data" * 10_000
OTHER = b"Z's replaced data" * 10_000


class Bucket(MemoryStore):
    """Many texts for one blob, as object stores have them: a user, a scheme, a port that nobody looks at."""

    schemes = ("bucket", "bucket+https")

    def _url(self, key: str) -> str:
        return f"bucket://host/{key}"

    def _key(self, url: str) -> str:
        found = re.fullmatch(r"bucket(?:\+https)?://(?:[^@/]*@)?host(?::443)?/([A-Za-z0-9._-]+)", url)
        return found[1] if found else ""


class Web(BaseHTTPRequestHandler):
    """``files`` by path; ``held`` paths are never answered; ``asked``: the paths of all requests."""

    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []
    released: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/held"):
            self.released.wait(60)
            return
        if self.path.startswith("/trickle"):
            with suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                while not self.released.wait(0.05):
                    self.wfile.write(b"x")
            return
        data = self.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        first, last = 0, len(data) - 1
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(found[1]), min(last, int(found[2] or last))
        self.send_response(206 if found else 200)
        if found:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        if self.command == "GET":
            with suppress(OSError):
                self.wfile.write(data[first : last + 1])

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        Web.released.set()
        server.shutdown()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    file = folder / "glance-api.conf"
    file.write_text(
        lab.config_text(
            {
                "DEFAULT": {
                    "auth_strategy": "headers",
                    "enabled_backends": "fast:file, web:http",
                    "notifiers": "",
                    "show_multiple_locations": True,
                    "location_lookup_timeout": 1,
                    "image_location_quota": 10,
                },
                "glance_store": {"default_backend": "fast"},
                "database": {"connection": f"sqlite:///{folder}/glance.sqlite"},
                "fast": {"filesystem_store_datadir": folder / "fast"},
                "web": {"http_store_allowed_hosts": "127.0.0.1, localhost"},
            }
        )
    )
    conf = configuration.new(files=[str(file)])
    database = load_database(conf)
    database.sync()
    made = build(conf, database)
    made.stores._stores["cloud"] = StoreFacade(StoreSettings("cloud", "bucket"), make_store(Bucket, "cloud"))
    yield made
    made.close()


@pytest.fixture
def a(service: Service) -> Person:
    return Person(service.app, f"a-{uuid.uuid4().hex[:6]}")


def attackers(service: Service) -> dict[str, Person]:
    return {
        "member": Person(service.app, "b"),
        "admin of the project": Person(service.app, "b", "admin,member,reader"),
        "service": Person(service.app, "b", "member,reader,service"),
    }


def served(web: str, data: bytes) -> str:
    name = f"/{uuid.uuid4().hex}"
    Web.files[name] = data
    return f"{web}{name}"


def hashed(person: Person, image_id: str) -> dict[str, Any]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        image = dict(person.call("GET", f"/v2/images/{image_id}").json or {})
        if image["status"] != "importing" and (image["os_hash_value"] or image["status"] == "queued"):
            return image
        time.sleep(0.02)
    raise AssertionError(image)


def spellings(url: str) -> list[str]:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    head, _, key = url.rpartition("/")
    return [
        url,
        *(
            f"{scheme}://{place}{slash}{path}"
            for place in (
                f"x@{host}",
                f"x:y@{host}",
                f"@{host}",
                f"{host}:443",
                f"{host}:80",
                host.upper(),
                f"{host}.",
                "localhost",
                "",
            )
        ),
        *(
            f"{other}://{place}{slash}{path}"
            for other in ("bucket", "bucket+https", "bucket+http", "BUCKET", "file", "filesystem", "FILE", "http", "s3")
            for place in (host, f"x:y@{host}", "")
        ),
        f"{head}//{key}",
        f"{head}/./{key}",
        f"{head}/x/../{key}",
        f"{head}/%{ord(key[0]):x}{key[1:]}",
        f"{head}/{key.upper()}",
        f"{url}/",
        f"{url}?",
        f"{url}?x=1",
        f"{url}#x",
        f"{url};x",
        f"{url}%00",
        f"{url}%20",
        f"{url}+",
        f" {url}",
        f"\t{url}",
        f"{url}\n",
        f"{url[:3]}\n{url[3:]}",
        url.replace("/", "%2F"),
        url.replace("-", "%2D"),
        url.replace("-", "+"),
    ]


WAYS: dict[str, Callable[[Person, str, str], int]] = {
    "post": lambda who, image_id, url: who.call("POST", f"/v2/images/{image_id}/locations", {"url": url}).status_code,
    "add": lambda who, image_id, url: (
        who.patch(image_id, {"op": "add", "path": "/locations/-", "value": {"url": url, "metadata": {}}}).status_code
    ),
    "add of a store's": lambda who, image_id, url: (
        who.patch(
            image_id, {"op": "add", "path": "/locations/0", "value": {"url": url, "metadata": {"store": "cloud"}}}
        ).status_code
    ),
    "replace": lambda who, image_id, url: (
        who.patch(
            image_id, {"op": "replace", "path": "/locations", "value": [{"url": url, "metadata": {}}]}
        ).status_code
    ),
}


def data_of(service: Service, a: Person, store: str) -> tuple[str, str]:
    image_id = a.create()["id"]
    assert a.upload(image_id, SECRET, x_image_meta_store=store).status_code == 204
    (location,) = service.database.images.get_any(image_id).locations
    return image_id, location.url


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("store", ["fast", "cloud"])
def test_nobody_reads_or_removes_bytes_of_others(service: Service, a: Person, store: str, way: str) -> None:
    image_id, url = data_of(service, a, store)
    for role, b in attackers(service).items():
        for spelling in spellings(url):
            mine = b.create()["id"]
            status = WAYS[way](b, mine, spelling)
            assert status in ({400, 403} if role != "service" else {400, 409}), (role, spelling, status)
            assert b.call("GET", f"/v2/images/{mine}/file").data != SECRET
            assert b.call("DELETE", f"/v2/images/{mine}").status_code == 204
            assert service.database.images.located(url) == [image_id]
    assert a.call("GET", f"/v2/images/{image_id}/file").data == SECRET
    assert a.call("DELETE", f"/v2/images/{image_id}").status_code == 204
    assert not [x for x in service.stores.get(store).list() if url.endswith(x.key)]


def test_bytes_that_are_being_uploaded_are_somebodys_already(service: Service, a: Person) -> None:
    """The blob is there before its image says so."""
    service_user, image_id, answers = attackers(service)["service"], a.create()["id"], []
    put = service.stores.get("cloud")._store

    def stored(location: object, *_: object) -> None:
        mine = service_user.create()["id"]
        url = f"bucket+https://x@host/{image_id}"
        answers.append(service_user.call("POST", f"/v2/images/{mine}/locations", {"url": url}).status_code)

    assert isinstance(put, Bucket)
    original, put.put_for = put.put_for, lambda *args: (original(*args), stored(None))[0]  # type: ignore[method-assign,misc]
    try:
        assert a.upload(image_id, SECRET, x_image_meta_store="cloud").status_code == 204
    finally:
        del put.put_for
    assert answers == [409]


def test_a_service_names_data_by_any_text_and_one_is_kept(service: Service, a: Person) -> None:
    user, cloud = attackers(service)["service"], service.stores.get("cloud")
    url = cloud.put("other-peoples-name", iter([SECRET])).url
    for spelling in ("bucket+https://x:y@host:443/other-peoples-name", url):
        image_id = user.create()["id"]
        assert user.call("POST", f"/v2/images/{image_id}/locations", {"url": spelling}).status_code == 202
        assert [x["url"] for x in hashed(user, image_id)["locations"]] == [url]
        assert (
            user.patch(
                image_id,
                {
                    "op": "add",
                    "path": "/locations/-",
                    "value": {"url": "bucket://y@host/other-peoples-name", "metadata": {}},
                },
            ).status_code
            == 400
        )  # twice the same
        second = user.create()["id"]
        assert (
            user.call(
                "POST", f"/v2/images/{second}/locations", {"url": "bucket://z@host/other-peoples-name"}
            ).status_code
            == 409
        )
        assert user.call("DELETE", f"/v2/images/{image_id}").status_code == 204
        assert [x.url for x in cloud.list() if x.url == url] == []
        cloud.put("other-peoples-name", iter([SECRET]))
    cloud.delete(url)


def test_bytes_that_two_images_have_go_with_the_last_one(service: Service, a: Person) -> None:
    """As a deployment that was taken over may have them: nothing here makes such rows."""
    one, url = data_of(service, a, "cloud")
    two = a.create()["id"]
    assert a.upload(two, SECRET, x_image_meta_store="cloud").status_code == 204
    before = service.database.images.get_any(two)
    service.stores.remove(before.locations[0])
    shared = replace(before.locations[0], url=url.replace("://", "+https://x@"))
    service.database.images.commit(
        ImageChanged(before, replace(before, locations=(shared,), version=before.version + 1))
    )
    assert a.call("GET", f"/v2/images/{two}/file").data == SECRET
    assert a.call("DELETE", f"/v2/images/{two}").status_code == 204
    assert a.call("GET", f"/v2/images/{one}/file").data == SECRET
    assert a.call("DELETE", f"/v2/images/{one}").status_code == 204
    assert not [x for x in service.stores.get("cloud").list() if x.url == url]


# -- what is asked, and when -----------------------------------------------------------------------
def test_permission_and_number_come_before_any_question(
    service: Service, a: Person, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: names.append(host) or [])
    image_id, begun = a.create()["id"], len(Web.asked)
    reader = Person(service.app, a.project, "reader")
    url = web.replace("127.0.0.1", "somewhere.example")
    many = [{"op": "add", "path": "/locations/-", "value": {"url": f"{url}/{x}", "metadata": {}}} for x in range(300)]
    assert a.patch(image_id, *many).status_code == 413
    assert (
        a.patch(image_id, {"op": "replace", "path": "/locations", "value": [x["value"] for x in many]}).status_code
        == 413
    )
    assert a.patch(image_id, many[0], {"op": "remove", "path": "/locations/0"}).status_code == 403
    for way in WAYS.values():
        assert way(reader, image_id, f"{url}/x") == 403
    assert (
        reader.call(
            "POST", f"/v2/images/{image_id}/import", {"method": {"name": "web-download", "uri": f"{url}/x"}}
        ).status_code
        == 403
    )
    stranger = Person(service.app, "strangers")
    assert (
        stranger.call(
            "POST", f"/v2/images/{image_id}/import", {"method": {"name": "web-download", "uri": f"{url}/x"}}
        ).status_code
        == 404
    )
    assert (names, len(Web.asked)) == ([], begun)


@pytest.mark.parametrize("path", ["/held", "/trickle"])
@pytest.mark.parametrize("way", ["post", "add"])
def test_a_server_that_does_not_answer_holds_nobody(a: Person, web: str, way: str, path: str) -> None:
    image_id = a.create()["id"]
    assert WAYS[way](a, image_id, f"{web}{path}") == 400
    assert (a.call("GET", f"/v2/images/{image_id}").json or {})["status"] == "queued"


# -- data that changes -----------------------------------------------------------------------------
@pytest.mark.parametrize("way", ["post", "add"])
def test_changed_bytes_are_never_sent_to_their_end(a: Person, web: str, way: str) -> None:
    for data, other in ((SECRET, OTHER), (SECRET, SECRET[:-1] + b"!"), (b"small", b"other"), (SECRET * 20, OTHER * 20)):
        url, image_id = served(web, data), a.create()["id"]
        assert WAYS[way](a, image_id, url) in (200, 202)
        image = hashed(a, image_id)
        assert image["os_hash_value"] == hashlib.sha512(data).hexdigest()
        assert a.call("GET", f"/v2/images/{image_id}/file").data == data
        Web.files[url.removeprefix(web)] = other[: len(data)].ljust(len(data), b"x")
        answer = a.call("GET", f"/v2/images/{image_id}/file")
        if answer.status_code == 200:
            with pytest.raises(errors.DataDamaged):  # broken off: a server closes the connection
                _ = answer.data
        else:
            assert (answer.status_code, len(data) < 1 << 20) == (503, True)


def test_parts_of_what_others_may_change_are_not_sent(a: Person, web: str) -> None:
    image_id = a.create()["id"]
    assert WAYS["add"](a, image_id, served(web, SECRET)) == 200
    hashed(a, image_id)
    for headers in ({"Range": "bytes=5-9"}, {"Content-Range": "bytes 5-9/*"}):
        answer = a.call("GET", f"/v2/images/{image_id}/file", **headers)
        assert (answer.status_code, answer.data, answer.headers["Accept-Ranges"]) == (200, SECRET, "none")


@pytest.mark.parametrize("way", ["post", "add"])
def test_data_without_a_hash_is_not_sent(
    service: Service, a: Person, web: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashing = service.of(ImagesExtension).hashing
    monkeypatch.setattr(hashing, "start", hashing._leases.forget)
    image_id = a.create()["id"]
    assert WAYS[way](a, image_id, served(web, SECRET)) in (200, 202)
    answer = a.call("GET", f"/v2/images/{image_id}/file")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "hash" in answer.text


@pytest.mark.parametrize("way", ["add", "replace"])
def test_a_hash_that_somebody_says_proves_nothing_until_the_data_was_read(
    service: Service, a: Person, web: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not where a copy is to be made of it, or another location is added."""
    hashing, given = (
        service.of(ImagesExtension).hashing,
        {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(SECRET).hexdigest()},
    )
    image_id, value, held = (
        a.create()["id"],
        {"url": served(web, SECRET), "metadata": {}, "validation_data": given},
        list[Lease](),
    )
    with monkeypatch.context() as patch:
        patch.setattr(hashing, "start", held.append)
        change = {
            "op": way,
            "path": "/locations/-" if way == "add" else "/locations",
            "value": value if way == "add" else [value],
        }
        answer = a.patch(image_id, change)
        assert (answer.status_code, (answer.json or {})["status"], (answer.json or {})["os_hash_value"]) == (
            200,
            "active",
            given["os_hash_value"],
        )
    assert (
        a.patch(
            image_id, {"op": "add", "path": "/locations/-", "value": {**value, "url": served(web, SECRET)}}
        ).status_code
        == 200
    )
    answer = a.call("GET", f"/v2/images/{image_id}/file")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert a.call(
        "POST", f"/v2/images/{image_id}/import", {"method": {"name": "copy-image"}, "all_stores": True}
    ).status_code in (403, 409)
    hashing.start(*held)
    end = time.monotonic() + 30
    while (answer := a.call("GET", f"/v2/images/{image_id}/file")).status_code != 200:
        assert time.monotonic() < end, answer.text
        time.sleep(0.02)
    assert answer.data == SECRET


def test_who_owns_an_image_does_not_take_back_what_the_service_has_found(service: Service, a: Person, web: str) -> None:
    image_id = a.create()["id"]
    given = {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(OTHER).hexdigest()}
    assert (
        a.patch(
            image_id,
            {
                "op": "add",
                "path": "/locations/-",
                "value": {"url": served(web, SECRET), "metadata": {}, "validation_data": given},
            },
        ).status_code
        == 200
    )
    end = time.monotonic() + 30
    while (image := a.call("GET", f"/v2/images/{image_id}").json or {})["status"] != "deactivated":
        assert time.monotonic() < end, image
        time.sleep(0.02)
    answer = a.call("POST", f"/v2/images/{image_id}/actions/reactivate")
    assert (answer.status_code, "only an administrator" in answer.text, given["os_hash_value"] in answer.text) == (
        403,
        True,
        True,
    )
    admin = Person(service.app, roles="admin,member,reader")
    assert admin.call("POST", f"/v2/images/{image_id}/actions/reactivate").status_code == 204
    assert a.call("GET", f"/v2/images/{image_id}/file").status_code == 503, "nothing proves it still"
    # what an owner has deactivated himself he takes back himself
    mine = a.create()["id"]
    assert a.upload(mine).status_code == 204
    for action in ("deactivate", "reactivate"):
        assert a.call("POST", f"/v2/images/{mine}/actions/{action}").status_code == 204


@pytest.mark.parametrize("algorithm", ["md5", "sha1"])
def test_a_digest_that_can_be_forged_is_checked_and_not_relied_on(a: Person, web: str, algorithm: str) -> None:
    image_id = a.create()["id"]
    given = {"os_hash_algo": algorithm, "os_hash_value": hashlib.new(algorithm, SECRET).hexdigest()}
    assert (
        a.call(
            "POST", f"/v2/images/{image_id}/locations", {"url": served(web, SECRET), "validation_data": given}
        ).status_code
        == 202
    )
    image = hashed(a, image_id)
    assert (image["status"], image["os_hash_algo"], image["os_hash_value"]) == (
        "active",
        "sha512",
        hashlib.sha512(SECRET).hexdigest(),
    )
    other = a.create()["id"]
    assert (
        a.call(
            "POST", f"/v2/images/{other}/locations", {"url": served(web, OTHER), "validation_data": given}
        ).status_code
        == 202
    )
    assert hashed(a, other)["status"] == "queued"
    assert a.upload(other).status_code == 204, "it takes other data"


# -- what is said of a location --------------------------------------------------------------------
@pytest.mark.parametrize(
    "metadata",
    [
        "abc",
        5,
        [1],
        [["a", "b"]],
        {"n": 1},
        {"n": None},
        {"n": {}},
        None,
        True,
        {"n": "x" * 1025},
        {"n" * 256: "x"},
        {str(x): "x" for x in range(33)},
    ],
    ids=lambda x: str(x)[:20],
)
def test_metadata_of_locations_has_one_schema(a: Person, web: str, metadata: object) -> None:
    value, begun = {"url": served(web, SECRET), "metadata": metadata}, len(Web.asked)
    image_id = a.create()["id"]
    assert a.call("POST", f"/v2/images/{image_id}/locations", value).status_code == 400
    assert a.patch(image_id, {"op": "add", "path": "/locations/-", "value": value}).status_code == 400
    assert a.patch(image_id, {"op": "replace", "path": "/locations", "value": [value]}).status_code == 400
    assert len(Web.asked) == begun


def test_this_store_can_do_what_the_tests_need() -> None:
    assert Cap.DELETE in Bucket.caps
