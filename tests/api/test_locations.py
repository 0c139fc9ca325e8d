"""Every row of locations, over every database; the data lies on a web server."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from api import Person, people
from conftest import DATABASES, built

from glancecore.assembly.lifecycle import Service
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.store_settings import StoreSettings
from glancecore.testing.memory_store import MemoryStore
from glancecore.testing.store import make_store

pytestmark = pytest.mark.long

DATA = os.urandom(5_000_000)  # more than what is looked at when the location is added
SHA512, SHA256, MD5 = (hashlib.new(x, DATA).hexdigest() for x in ("sha512", "sha256", "md5"))
#: A qcow2 image that names a backing file.
UNSAFE = (
    b"QFI\xfb\0\0\0\x03"
    + (512).to_bytes(8, "big")
    + (8).to_bytes(4, "big")
    + bytes(500)
    + b"/etc/shadow"
    + bytes(5_000_000)
)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A reader that has seen enough goes away in the middle."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("www")
    (made / "unsafe").write_bytes(UNSAFE)
    (made / "short").write_bytes(b"other data")
    (made / "other").write_bytes(DATA[::-1])
    return made


@pytest.fixture(scope="module")
def web(folder: Path) -> Iterator[str]:
    with Server(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def data(web: str, folder: Path) -> Callable[[], str]:
    """The URL of DATA, another one at each call."""

    def make() -> str:
        name = uuid.uuid4().hex
        (folder / name).write_bytes(DATA)
        return f"{web}/{name}"

    return make


@pytest.fixture(scope="module", params=DATABASES)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with built(
        request.param,
        {
            "DEFAULT": {
                "enabled_backends": "fast:file, slow:file, web:http",
                "show_multiple_locations": True,
                "image_location_quota": 3,
                "user_storage_quota": 40_000_000,
            },
            "web": {"http_store_allowed_hosts": "127.0.0.1", "weight": -5},
        },
    ) as made:
        yield made


@pytest.fixture
def who(service: Service) -> dict[str, Person]:
    project = f"p-{uuid.uuid4().hex[:6]}"
    found = people(service.app, project)
    found["service"] = Person(service.app, "services", "service")
    found["owner and service"] = Person(service.app, project, "member,reader,service")
    found["admin of the project"] = Person(service.app, project, "admin,member,reader")
    return found


def show(person: Person, image_id: str) -> dict[str, Any]:
    return dict(person.call("GET", f"/v2/images/{image_id}").json or {})


def hashed(person: Person, image_id: str) -> dict[str, Any]:
    """The image once nothing goes on in the background any more."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        image = show(person, image_id)
        if image["status"] != "importing" and (image["os_hash_value"] or image["status"] in ("queued", "deactivated")):
            return image
        time.sleep(0.02)
    raise AssertionError(image)


def add(url: str, path: str = "/locations/-", **more: object) -> dict[str, object]:
    return {"op": "add", "path": path, "value": {"url": url, "metadata": {}, **more}}


def blobs(service: Service) -> int:
    return sum(
        len(
            [x for x in Path(str(store.properties["data_dir"])).iterdir() if x.is_file() and not x.name.startswith(".")]
        )
        for store in service.stores
        if store.settings.driver == "file"
    )


# -- PATCH -----------------------------------------------------------------------------------------
def test_the_first_location_makes_a_queued_image_active_and_it_is_hashed(
    who: dict[str, Person], data: Callable[[], str]
) -> None:
    owner, url = who["owner"], data()
    image_id = owner.create()["id"]
    answer = owner.patch(image_id, add(url, metadata={"zone": "a"}))
    assert answer.status_code == 200, answer.text
    image = answer.json or {}
    assert (image["status"], image["size"], image["stores"]) == ("active", len(DATA), "web")
    assert (image["os_hash_algo"], image["os_hash_value"]) == (None, None)
    assert image["locations"] == [{"url": url, "metadata": {"zone": "a", "store": "web"}}]
    image = hashed(owner, image_id)
    assert (image["os_hash_algo"], image["os_hash_value"], image["checksum"], image["virtual_size"]) == (
        "sha512",
        SHA512,
        MD5,
        len(DATA),
    )
    assert owner.call("GET", f"/v2/images/{image_id}/file").data == DATA
    part = owner.call(
        "GET", f"/v2/images/{image_id}/file", Range="bytes=4999990-"
    )  # nothing proves a part of what others may change
    assert (part.status_code, part.data, part.headers["Accept-Ranges"]) == (200, DATA, "none")


def test_a_location_can_bring_its_hashes(who: dict[str, Person], data: Callable[[], str]) -> None:
    owner = who["owner"]
    image_id = owner.create()["id"]
    given = {"checksum": MD5.upper(), "os_hash_algo": "sha512", "os_hash_value": SHA512.upper()}
    answer = owner.patch(image_id, add(data(), validation_data=given))
    assert answer.status_code == 200, answer.text
    image = answer.json or {}
    assert (image["checksum"], image["os_hash_algo"], image["os_hash_value"]) == (MD5, "sha512", SHA512)
    assert "validation_data" not in image["locations"][0]


def test_an_active_image_whose_data_turns_out_to_be_other_data_is_deactivated(who: dict[str, Person], web: str) -> None:
    owner = who["owner"]
    image_id = owner.create()["id"]
    given = {"os_hash_algo": "sha512", "os_hash_value": SHA512}
    assert owner.patch(image_id, add(f"{web}/other", validation_data=given)).status_code == 200
    end = time.monotonic() + 30
    while show(owner, image_id)["status"] == "active" and time.monotonic() < end:
        time.sleep(0.02)
    image = show(owner, image_id)
    assert image["status"] == "deactivated"
    assert SHA512 in image["os_glance_last_error"]
    assert hashlib.sha512(DATA[::-1]).hexdigest() in image["os_glance_last_error"]
    assert owner.call("GET", f"/v2/images/{image_id}/file").status_code == 403


def test_more_locations_are_appended_or_inserted_where_they_are_shown(
    who: dict[str, Person], data: Callable[[], str]
) -> None:
    owner = who["owner"]
    image_id = owner.create()["id"]
    one, two, three = data(), data(), data()
    for step in (add(one), add(two, "/locations/0"), add(three, "/locations/9")):
        assert owner.patch(image_id, step).status_code == 200
    assert [x["url"] for x in show(owner, image_id)["locations"]] == [two, one, three]


#: (what, URL below the web server or whole, status)
REFUSED = [
    ("no such file", "nothing", 400),
    ("unknown scheme", "gopher://x/y", 400),
    ("no URL", "nonsense", 400),
    ("a file", "file:///etc/passwd", 400),
    ("a file's other name", "filesystem:///etc/passwd", 400),
    ("credentials of the configuration", "swift+config://ref/container/object", 400),
    ("no store for it", "rbd://a/b/c/snap", 400),
    ("nobody there", "http://127.0.0.1:1/x", 400),
    ("an inner address", "http://10.0.0.1/x", 400),
    ("unsafe content", "unsafe", 415),
]


@pytest.mark.parametrize("row", REFUSED, ids=lambda x: x[0])
def test_a_location_that_can_not_be_taken_changes_nothing(
    who: dict[str, Person], web: str, row: tuple[str, str, int]
) -> None:
    _, url, status = row
    url = url if ":" in url or url == "nonsense" else f"{web}/{url}"
    for person, call in ((who["owner"], "patch"), (who["owner and service"], "post")):
        image_id = person.create(disk_format="raw")["id"]
        answer = (
            person.patch(image_id, add(url))
            if call == "patch"
            else person.call("POST", f"/v2/images/{image_id}/locations", {"url": url})
        )
        assert answer.status_code == status, (call, answer.text)
        assert "10.0.0.1" not in answer.text
        assert "127.0.0.1" not in answer.text
        image = show(person, image_id)
        assert (image["status"], image["size"], image["locations"]) == ("queued", None, [])


#: (what, steps made from URLs, status)
RULES: list[tuple[str, Callable[[str, str], list[dict[str, object]]], int]] = [
    ("twice the same", lambda a, b: [add(b), add(b)], 400),
    ("no position", lambda a, b: [add(b, "/locations/x")], 400),
    ("negative position", lambda a, b: [add(b, "/locations/-1")], 400),
    ("too deep", lambda a, b: [add(b, "/locations/1/url")], 400),
    ("not deep enough", lambda a, b: [add(b, "/locations")], 400),
    ("other size", lambda a, b: [add(b.rpartition("/")[0] + "/short")], 400),
    ("metadata value is no string", lambda a, b: [add(b, metadata={"n": 1})], 400),
    ("metadata missing", lambda a, b: [{"op": "add", "path": "/locations/-", "value": {"url": b}}], 400),
    ("not an object", lambda a, b: [{"op": "add", "path": "/locations/-", "value": b}], 400),
    ("url too long", lambda a, b: [add(b + "?" + "x" * 256)], 400),
    ("store of the metadata unknown", lambda a, b: [add(b, metadata={"store": "nowhere"})], 400),
    ("store of the metadata does not read it", lambda a, b: [add(b, metadata={"store": "fast"})], 400),
    ("above the quota", lambda a, b: [add(b + x) for x in ("?1", "?2", "?3")], 413),
    ("half a hash", lambda a, b: [add(b, validation_data={"os_hash_algo": "sha512"})], 400),
    (
        "another algorithm",
        lambda a, b: [add(b, validation_data={"os_hash_algo": "sha256", "os_hash_value": SHA256})],
        409,
    ),
    ("hash too short", lambda a, b: [add(b, validation_data={"os_hash_algo": "sha512", "os_hash_value": "ab"})], 409),
    (
        "hash not hex",
        lambda a, b: [add(b, validation_data={"os_hash_algo": "sha512", "os_hash_value": "z" * 128})],
        409,
    ),
    (
        "hash of other data",
        lambda a, b: [add(b, validation_data={"os_hash_algo": "sha512", "os_hash_value": "0" * 128})],
        409,
    ),
    (
        "replace by others",
        lambda a, b: [{"op": "replace", "path": "/locations", "value": [{"url": b, "metadata": {}}]}],
        400,
    ),
    ("replace by none", lambda a, b: [{"op": "replace", "path": "/locations", "value": []}], 403),
    ("replace one", lambda a, b: [{"op": "replace", "path": "/locations/0", "value": {"url": b, "metadata": {}}}], 400),
    ("remove the last", lambda a, b: [{"op": "remove", "path": "/locations/0"}], 403),
    ("remove what is not there", lambda a, b: [{"op": "remove", "path": "/locations/7"}], 400),
    ("remove the end", lambda a, b: [{"op": "remove", "path": "/locations/-"}], 400),
]


@pytest.mark.parametrize("row", RULES, ids=lambda x: x[0])
def test_patch_rules_of_locations(
    who: dict[str, Person], data: Callable[[], str], row: tuple[str, Callable[[str, str], list[dict[str, object]]], int]
) -> None:
    _, steps, status = row
    admin, first = who["admin of the project"], data()
    image_id = admin.create()["id"]
    assert admin.patch(image_id, add(first)).status_code == 200
    before = hashed(admin, image_id)
    answer = admin.patch(image_id, *steps(first, data()))
    assert answer.status_code == status, answer.text
    assert {**show(admin, image_id), "updated_at": ""} == {**before, "updated_at": ""}


def test_replace_sets_the_first_locations_and_takes_back_what_was_read(
    who: dict[str, Person], data: Callable[[], str]
) -> None:
    owner, urls = who["owner"], [data(), data()]
    image_id = owner.create()["id"]
    value = [{"url": x, "metadata": {}} for x in urls]
    assert owner.patch(image_id, {"op": "replace", "path": "/locations", "value": value}).status_code == 200
    image = hashed(owner, image_id)
    assert (image["status"], [x["url"] for x in image["locations"]]) == ("active", urls)
    assert (
        owner.patch(image_id, {"op": "replace", "path": "/locations", "value": image["locations"]}).status_code == 200
    )
    assert show(owner, image_id) == image
    changed = [{"url": x, "metadata": {"zone": "b"}} for x in urls]
    assert owner.patch(image_id, {"op": "replace", "path": "/locations", "value": changed}).status_code == 200
    assert [x["metadata"] for x in show(owner, image_id)["locations"]] == [{"zone": "b", "store": "web"}] * 2


def test_a_removed_location_takes_its_bytes_along(
    service: Service, who: dict[str, Person], data: Callable[[], str]
) -> None:
    owner, admin = who["owner"], who["admin of the project"]
    image_id, before = owner.create()["id"], blobs(service)
    assert owner.upload(image_id, DATA).status_code == 204
    remove = {"op": "remove", "path": "/locations/0"}
    assert owner.patch(image_id, add(data())).status_code == 200
    assert owner.patch(image_id, remove).status_code == 403  # admins only
    assert admin.patch(image_id, remove).status_code == 200
    image = show(owner, image_id)
    assert (image["stores"], image["status"], blobs(service)) == ("web", "active", before)
    assert owner.call("GET", f"/v2/images/{image_id}/file").data == DATA
    queued = owner.create()["id"]
    assert admin.patch(queued, remove).status_code == 409


def test_a_queued_image_without_formats_takes_no_location(who: dict[str, Person], data: Callable[[], str]) -> None:
    owner = who["owner"]
    image_id = owner.create(disk_format=None)["id"]
    assert owner.patch(image_id, add(data())).status_code == 400
    assert owner.call("POST", f"/v2/images/{image_id}/locations", {"url": data()}).status_code == 400


def test_the_bytes_of_another_image_can_not_be_claimed(service: Service, who: dict[str, Person]) -> None:
    owner, thief = who["owner"], Person(service.app, "thieves", "member,reader,service")
    image_id = owner.create()["id"]
    assert owner.upload(image_id).status_code == 204
    (url,) = [x.url for x in service.database.images.get(image_id).locations]
    mine = thief.create()["id"]
    for answer in (thief.patch(mine, add(url)), thief.call("POST", f"/v2/images/{mine}/locations", {"url": url})):
        assert answer.status_code == 400, answer.text  # a file: nobody may name one
    assert show(thief, mine)["status"] == "queued"


def test_the_storage_quota_counts_copies(who: dict[str, Person], data: Callable[[], str]) -> None:
    owner = who["owner"]
    ids = [owner.create()["id"] for _ in range(3)]
    for image_id in ids[:2]:  # 30 of 40 MB
        for _ in range(3):
            assert owner.patch(image_id, add(data())).status_code == 200
    assert owner.patch(ids[2], add(data()), add(data())).status_code == 200
    assert owner.patch(ids[2], add(data())).status_code == 413
    assert len(show(owner, ids[2])["locations"]) == 2


def test_patch_of_locations_is_off_unless_the_operator_wants_it(data: Callable[[], str]) -> None:
    with built(
        "sqlite",
        {"DEFAULT": {"enabled_backends": "fast:file, web:http"}, "web": {"http_store_allowed_hosts": "127.0.0.1"}},
    ) as made:
        owner = people(made.app)["owner"]
        image_id = owner.create()["id"]
        assert owner.patch(image_id, add(data())).status_code == 403
        assert "locations" not in show(owner, image_id)


def test_without_hashing_data_of_the_cloud_is_believed_and_that_of_others_is_not(data: Callable[[], str]) -> None:
    """The operator's choice, as with Glance; but what others may change is hashed all the same."""
    with built(
        "sqlite",
        {
            "DEFAULT": {"enabled_backends": "fast:file, web:http", "do_secure_hash": False},
            "web": {"http_store_allowed_hosts": "127.0.0.1"},
        },
    ) as made:
        cloud = StoreFacade(StoreSettings("cloud", "memory"), make_store(MemoryStore, "cloud"))
        made.stores._stores["cloud"] = cloud
        owner = Person(made.app, "demo", "member,reader,service")
        for number, validation in enumerate(
            ({}, {"validation_data": {"os_hash_algo": "sha256", "os_hash_value": SHA256}})
        ):
            image_id, url = owner.create()["id"], cloud.put(f"name-{number}", iter([DATA])).url
            assert owner.call("POST", f"/v2/images/{image_id}/locations", {"url": url, **validation}).status_code == 202
            image = show(owner, image_id)
            assert (image["status"], image["checksum"], image["os_hash_value"]) == (
                "active",
                None,
                SHA256 if validation else None,
            )
            (task,) = (owner.call("GET", f"/v2/images/{image_id}/tasks").json or {})["tasks"]
            assert task["status"] == "success"
            assert made.database.images.lease(image_id) is None
            assert owner.call("GET", f"/v2/images/{image_id}/file").data == DATA
            image_id = owner.create()["id"]
            assert (
                owner.call("POST", f"/v2/images/{image_id}/locations", {"url": data(), **validation}).status_code == 202
            )
            assert hashed(owner, image_id)["checksum"] == MD5


# -- POST and GET ----------------------------------------------------------------------------------
def test_a_posted_location_is_active_at_once_and_hashed_later(who: dict[str, Person], data: Callable[[], str]) -> None:
    owner, url = who["owner"], data()
    image_id = owner.create()["id"]
    answer = owner.call("POST", f"/v2/images/{image_id}/locations", {"url": url, "extra": "tolerated"})
    assert show(owner, image_id)["os_hash_algo"] == "sha512", "the hash is on its way, or there"
    assert (answer.status_code, answer.data) == (202, b"")
    assert show(owner, image_id)["status"] == "active"
    image = hashed(owner, image_id)
    assert (image["os_hash_value"], image["checksum"], image["size"]) == (SHA512, MD5, len(DATA))
    (task,) = (owner.call("GET", f"/v2/images/{image_id}/tasks").json or {})["tasks"]
    assert (task["type"], task["status"], task["input"]) == ("location_import", "success", {"loc_url": url})
    assert owner.call("POST", f"/v2/images/{image_id}/locations", {"url": data()}).status_code == 409


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_a_location_with_an_expected_hash_is_active_once_it_is_found(
    who: dict[str, Person], data: Callable[[], str], algorithm: str
) -> None:
    owner, digest = who["owner"], hashlib.new(algorithm, DATA).hexdigest()
    image_id = owner.create()["id"]
    wanted = {"url": data(), "validation_data": {"os_hash_algo": algorithm, "os_hash_value": digest}}
    assert owner.call("POST", f"/v2/images/{image_id}/locations", wanted).status_code == 202
    image = hashed(owner, image_id)
    told = (
        (algorithm, digest) if algorithm.startswith("sha2") or algorithm == "sha512" else ("sha512", SHA512)
    )  # others can be forged
    assert (image["status"], image["os_hash_algo"], image["os_hash_value"], image["checksum"]) == ("active", *told, MD5)


def test_a_wrong_hash_brings_the_image_back_without_the_location(
    who: dict[str, Person], web: str, data: Callable[[], str]
) -> None:
    owner = who["owner"]
    image_id = owner.create()["id"]
    wanted = {"url": f"{web}/other", "validation_data": {"os_hash_algo": "sha256", "os_hash_value": SHA256}}
    assert owner.call("POST", f"/v2/images/{image_id}/locations", wanted).status_code == 202
    image = hashed(owner, image_id)
    assert [image[x] for x in ("status", "size", "checksum", "os_hash_algo", "os_hash_value", "locations")] == [
        "queued",
        None,
        None,
        None,
        None,
        [],
    ]
    assert SHA256 in image["os_glance_last_error"]
    (task,) = (owner.call("GET", f"/v2/images/{image_id}/tasks").json or {})["tasks"]
    assert (task["status"], task["error"]) == ("failure", "hash_mismatch")
    assert SHA256 in task["message"]
    assert owner.call("POST", f"/v2/images/{image_id}/locations", {**wanted, "url": data()}).status_code == 202
    image = hashed(owner, image_id)
    assert image["status"] == "active"
    assert "os_glance_last_error" not in image


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"url": 1},
        {"url": ""},
        {"url": "http://x/" + "y" * 250},
        {"url": "u", "validation_data": []},
        {"url": "u", "validation_data": {"os_hash_algo": "sha512"}},
        {"url": "u", "validation_data": {"os_hash_value": "ab"}},
        {"url": "u", "validation_data": {"os_hash_algo": "crc32", "os_hash_value": "ab"}},
        {"url": "u", "validation_data": {"os_hash_algo": "sha256", "os_hash_value": "ab"}},
        {"url": "u", "validation_data": {"os_hash_algo": "md5", "os_hash_value": "z" * 32}},
    ],
    ids=str,
)
def test_bad_bodies_of_a_location(who: dict[str, Person], body: object) -> None:
    image_id = who["owner"].create()["id"]
    assert who["owner"].call("POST", f"/v2/images/{image_id}/locations", body).status_code == 400


def test_who_may_post_and_read_locations(service: Service, who: dict[str, Person], data: Callable[[], str]) -> None:
    owner = who["owner"]
    image_id = owner.create()["id"]
    path = f"/v2/images/{image_id}/locations"
    assert who["reader"].call("POST", path, {"url": data()}).status_code == 403
    assert who["stranger"].call("POST", path, {"url": data()}).status_code == 404
    assert owner.call("POST", path, {"url": data()}).status_code == 202
    hashed(owner, image_id)
    for person, status in (
        ("owner", 403),
        ("reader", 403),
        ("stranger", 404),
        ("admin", 200),
        ("owner and service", 200),
    ):
        assert who[person].call("GET", path).status_code == status, person
    (row,) = who["admin"].call("GET", path).json or []
    assert row["metadata"] == {"store": "web"}


# -- DELETE /v2/stores/… ---------------------------------------------------------------------------
def test_the_copy_of_one_store_is_removed(service: Service, who: dict[str, Person], data: Callable[[], str]) -> None:
    owner, admin = who["owner"], who["admin"]
    image_id, before = owner.create()["id"], blobs(service)
    queued = owner.create()["id"]
    assert owner.upload(image_id, DATA).status_code == 204
    assert admin.call("DELETE", f"/v2/stores/fast/{image_id}").status_code == 403  # the only one
    assert owner.patch(image_id, add(data())).status_code == 200
    for person, store, image, status in (
        (owner, "fast", image_id, 403),
        (who["stranger"], "fast", image_id, 404),
        (admin, "slow", image_id, 404),
        (admin, "nowhere", image_id, 409),
        (admin, "fast", str(uuid.uuid4()), 404),
        (admin, "fast", queued, 404),
    ):
        answer = person.call("DELETE", f"/v2/stores/{store}/{image}")
        assert answer.status_code == status, answer.text
    assert admin.call("POST", f"/v2/images/{image_id}/actions/deactivate").status_code == 204
    assert admin.call("DELETE", f"/v2/stores/fast/{image_id}").status_code == 409
    assert admin.call("POST", f"/v2/images/{image_id}/actions/reactivate").status_code == 204
    assert blobs(service) == before + 1
    assert admin.call("DELETE", f"/v2/stores/fast/{image_id}").status_code == 204
    assert (show(owner, image_id)["stores"], blobs(service)) == ("web", before)
    assert owner.call("DELETE", f"/v2/images/{image_id}").status_code == 204


def test_deleting_an_image_leaves_a_web_server_alone(
    who: dict[str, Person], data: Callable[[], str], folder: Path
) -> None:
    owner, url = who["owner"], data()
    image_id = owner.create()["id"]
    assert owner.patch(image_id, add(url)).status_code == 200
    assert owner.call("DELETE", f"/v2/images/{image_id}").status_code == 204
    assert owner.call("GET", f"/v2/images/{image_id}").status_code == 404
    assert (folder / url.rpartition("/")[2]).exists()
