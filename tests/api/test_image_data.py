"""Every row of upload and download, over every database."""

from __future__ import annotations

import hashlib
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from api import V21, Person, people

from glancecore.assembly.lifecycle import Service

sys.path.insert(0, str(Path(__file__).parents[1] / "images"))

import samples

DATA = os.urandom(3_000_000)


@pytest.fixture(scope="module")
def who(service: Service) -> dict[str, Person]:
    return people(service.app, f"p-{uuid.uuid4().hex[:6]}")


@pytest.fixture(scope="module")
def active(who: dict[str, Person]) -> str:
    image_id = str(who["owner"].create()["id"])
    assert who["owner"].upload(image_id, DATA).status_code == 204
    return image_id


def _status(person: Person, image_id: str) -> str:
    return str((person.call("GET", f"/v2/images/{image_id}").json or {})["status"])


def _blobs(service: Service) -> int:
    return sum(
        len(
            [x for x in Path(str(store.properties["data_dir"])).iterdir() if x.is_file() and not x.name.startswith(".")]
        )
        for store in service.stores
    )


# -- upload ----------------------------------------------------------------------------------------
def test_an_upload_makes_the_image_active_and_knows_its_data(who: dict[str, Person], active: str) -> None:
    image = who["owner"].call("GET", f"/v2/images/{active}").json or {}
    assert {
        k: image[k] for k in ("status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "stores")
    } == {
        "status": "active",
        "size": len(DATA),
        "virtual_size": len(DATA),
        "checksum": hashlib.md5(DATA).hexdigest(),
        "os_hash_algo": "sha512",
        "os_hash_value": hashlib.sha512(DATA).hexdigest(),
        "stores": "fast",
    }


#: (what, headers, data, fields of the image, status)
REFUSED: list[tuple[str, dict[str, str], bytes, dict[str, Any], int]] = [
    ("content type", {"Content_Type": "text/plain"}, b"x", {}, 415),
    ("no disk format", {}, b"x", {"disk_format": None}, 400),
    ("no container format", {}, b"x", {"container_format": None}, 400),
    ("unknown store", {"x_image_meta_store": "nowhere"}, b"x", {}, 400),
    ("reserved store", {"x_image_meta_store": "os_glance_staging_store"}, b"x", {}, 400),
    ("size is no number", {"x_openstack_image_size": "many"}, b"x", {}, 400),
    ("fewer bytes", {"x_openstack_image_size": "2"}, b"x", {}, 400),
    ("more bytes", {"x_openstack_image_size": "1"}, b"xy", {}, 400),
]


@pytest.mark.parametrize("row", REFUSED, ids=lambda x: x[0])
def test_a_refused_upload_leaves_nothing_and_can_be_repeated(
    service: Service, who: dict[str, Person], row: tuple[str, dict[str, str], bytes, dict[str, Any], int]
) -> None:
    what, headers, data, fields, status = row
    owner = who["owner"]
    image_id = owner.create(**fields)["id"]
    before = _blobs(service)
    answer = owner.call(
        "PUT", f"/v2/images/{image_id}/file", data, **{"Content_Type": "application/octet-stream", **headers}
    )
    assert answer.status_code == status, (what, answer.text)
    image = owner.call("GET", f"/v2/images/{image_id}").json or {}
    assert image["status"] == "queued"
    assert [image[x] for x in ("size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value")] == [None] * 5
    assert owner.call("GET", f"/v2/images/{image_id}/file").status_code == 204
    assert _blobs(service) == before
    owner.patch(
        image_id,
        {"op": "replace", "path": "/disk_format", "value": "raw"},
        {"op": "replace", "path": "/container_format", "value": "bare"},
    )
    assert owner.upload(image_id, DATA).status_code == 204
    assert owner.call("GET", f"/v2/images/{image_id}/file").data == DATA


def test_upload_into_a_chosen_store(service: Service, who: dict[str, Person]) -> None:
    image_id = who["owner"].create()["id"]
    assert who["owner"].upload(image_id, b"x", x_image_meta_store="slow").status_code == 204
    assert (who["owner"].call("GET", f"/v2/images/{image_id}").json or {})["stores"] == "slow"


def test_zero_bytes_are_an_image(who: dict[str, Person]) -> None:
    owner = who["owner"]
    image_id = owner.create()["id"]
    assert owner.upload(image_id, b"").status_code == 204
    image = owner.call("GET", f"/v2/images/{image_id}").json or {}
    assert (image["status"], image["size"]) == ("active", 0)
    answer = owner.call("GET", f"/v2/images/{image_id}/file")
    assert (answer.status_code, answer.data) == (200, b"")
    assert owner.call("GET", f"/v2/images/{image_id}/file", Range="bytes=0-").status_code == 416


def test_data_is_written_once(who: dict[str, Person], active: str) -> None:
    answer = who["owner"].upload(active, b"other")
    assert answer.status_code == 409
    assert "active" in (answer.json or {})["message"]


@pytest.mark.parametrize(("name", "status"), [("reader", 403), ("stranger", 404), ("accepted", 404)])
def test_who_may_not_upload(who: dict[str, Person], name: str, status: int) -> None:
    image_id = who["owner"].create()["id"]
    assert who[name].upload(image_id, b"x").status_code == status


def test_upload_to_no_image(who: dict[str, Person]) -> None:
    assert who["owner"].upload(str(uuid.uuid4()), b"x").status_code == 404


# -- what the bytes are ----------------------------------------------------------------------------
GOOD = [name for name, sample in samples.SAMPLES.items() if not sample.danger]
BAD = [name for name, sample in samples.SAMPLES.items() if sample.danger]


@pytest.mark.parametrize("name", GOOD)
def test_a_good_image_of_each_format_is_taken(who: dict[str, Person], name: str) -> None:
    sample, owner = samples.SAMPLES[name], who["owner"]
    image_id = owner.create(disk_format=sample.disk_format)["id"]
    answer = owner.upload(image_id, samples.path(name).read_bytes())
    assert answer.status_code == 204, answer.text
    image = owner.call("GET", f"/v2/images/{image_id}").json or {}
    assert image["virtual_size"] == (
        image["size"] if sample.disk_format in ("raw", "iso") else sample.virtual_size or image["size"]
    )


@pytest.mark.parametrize("container", ["bare", "ovf", "docker", "compressed"])
@pytest.mark.parametrize("name", BAD)
def test_an_unsafe_image_is_refused_in_any_container(
    service: Service, who: dict[str, Person], name: str, container: str
) -> None:
    sample, owner = samples.SAMPLES[name], who["owner"]
    image_id, before = owner.create(disk_format=sample.disk_format, container_format=container)["id"], _blobs(service)
    answer = owner.upload(image_id, samples.path(name).read_bytes())
    assert answer.status_code == 415, answer.text
    assert (answer.json or {})["error"] in ("unsafe_content", "format_mismatch")
    assert owner.call("GET", f"/v2/images/{image_id}/file").status_code == 204
    assert _blobs(service) == before
    assert owner.patch(image_id, {"op": "replace", "path": "/disk_format", "value": "raw"}).status_code == 200
    assert owner.upload(image_id, DATA).status_code == 204


@pytest.mark.parametrize("declared", ["qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso"])
@pytest.mark.parametrize("name", ["raw", "qcow2", "vmdk", "iso"])
def test_the_declared_format_must_be_true(who: dict[str, Person], name: str, declared: str) -> None:
    if samples.SAMPLES[name].disk_format == declared:
        return
    image_id = who["owner"].create(disk_format=declared)["id"]
    answer = who["owner"].upload(image_id, samples.path(name).read_bytes())
    assert answer.status_code == 415
    assert declared in (answer.json or {})["message"]


@pytest.mark.parametrize("name", ["qcow2", "vmdk", "vmdk-stream", "vhd", "vhdx", "vdi"])
def test_a_disk_in_a_format_is_no_raw_disk(who: dict[str, Person], name: str) -> None:
    """Whoever guesses the format would read something else than who believes it."""
    image_id, disk_format = who["owner"].create(disk_format="raw")["id"], samples.SAMPLES[name].disk_format
    answer = who["owner"].upload(image_id, samples.path(name).read_bytes())
    assert (answer.status_code, (answer.json or {})["error"]) == (415, "format_mismatch")
    assert disk_format in (answer.json or {})["message"]


@pytest.mark.parametrize("name", ["gpt", "luks", "iso", "raw"])
def test_what_a_disk_holds_is_a_raw_disk(who: dict[str, Person], name: str) -> None:
    image_id = who["owner"].create(disk_format="raw")["id"]
    data = samples.path(name).read_bytes()
    assert who["owner"].upload(image_id, data).status_code == 204
    assert (who["owner"].call("GET", f"/v2/images/{image_id}").json or {})["virtual_size"] == len(data)


# -- download --------------------------------------------------------------------------------------
def test_download(who: dict[str, Person], active: str) -> None:
    answer = who["owner"].call("GET", f"/v2/images/{active}/file")
    assert (answer.status_code, answer.data) == (200, DATA)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Length"] == str(len(DATA))
    assert answer.headers["Content-MD5"] == hashlib.md5(DATA).hexdigest()
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"] == f'"{hashlib.sha512(DATA).hexdigest()}"'


SIZE = len(DATA)
#: (Range, first byte, end) of what is answered with 206
RANGES = [
    ("bytes=0-0", 0, 1),
    ("bytes=0-9", 0, 10),
    ("bytes=5-5", 5, 6),
    (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
    ("bytes=0-", 0, SIZE),
    ("bytes=-1", SIZE - 1, SIZE),
    ("bytes=-10", SIZE - 10, SIZE),
    (f"bytes=-{SIZE * 2}", 0, SIZE),
    (f"bytes=10-{SIZE * 2}", 10, SIZE),
    ("bytes=1000000-2000000", 1_000_000, 2_000_001),
    (f"bytes=0-{SIZE - 1}", 0, SIZE),
]


@pytest.mark.parametrize(("asked", "first", "end"), RANGES)
def test_a_range(who: dict[str, Person], active: str, asked: str, first: int, end: int) -> None:
    answer = who["owner"].call("GET", f"/v2/images/{active}/file", Range=asked)
    assert (answer.status_code, answer.data) == (206, DATA[first:end])
    assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(end - first)
    assert "Content-MD5" not in answer.headers


@pytest.mark.parametrize(
    "asked",
    [
        f"bytes={SIZE}-",
        f"bytes={SIZE + 5}-{SIZE + 9}",
        "bytes=-0",
        "bytes=9-5",
        "bytes=x-y",
        "bytes=-",
        "items=0-5",
        "bytes",
        "",
    ],
)
def test_a_range_that_is_not_there(who: dict[str, Person], active: str, asked: str) -> None:
    answer = who["owner"].call("GET", f"/v2/images/{active}/file", Range=asked)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


def test_several_ranges_are_refused(who: dict[str, Person], active: str) -> None:
    assert who["owner"].call("GET", f"/v2/images/{active}/file", Range="bytes=0-1,3-4").status_code == 400


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("bytes 0-9/*", 206),
        (f"bytes 5-9/{SIZE}", 206),
        ("bytes */5", 400),
        ("x", 400),
        (f"bytes {SIZE}-{SIZE + 1}/*", 416),
    ],
)
def test_the_old_way_to_ask_for_a_range(who: dict[str, Person], active: str, asked: str, status: int) -> None:
    assert who["owner"].call("GET", f"/v2/images/{active}/file", Content_Range=asked).status_code == status


def test_conditions(who: dict[str, Person], active: str) -> None:
    owner, path, etag = who["owner"], f"/v2/images/{active}/file", f'"{hashlib.sha512(DATA).hexdigest()}"'
    answer = owner.call("GET", path, If_None_Match=etag)
    assert (answer.status_code, answer.data) == (304, b"")
    assert owner.call("GET", path, If_None_Match='"other"').status_code == 200
    assert owner.call("GET", path, Range="bytes=0-1", If_Range=etag).status_code == 206
    assert owner.call("GET", path, Range="bytes=0-1", If_Range='"other"').status_code == 200
    answer = owner.call("HEAD", path)
    assert (answer.status_code, answer.headers["Content-Length"], answer.data) == (200, str(SIZE), b"")


@pytest.mark.parametrize(("name", "status"), [("owner", 200), ("admin", 200), ("reader", 403), ("stranger", 404)])
def test_who_may_download(who: dict[str, Person], active: str, name: str, status: int) -> None:
    assert who[name].call("GET", f"/v2/images/{active}/file").status_code == status


def test_no_data_is_204(who: dict[str, Person]) -> None:
    image_id = who["owner"].create()["id"]
    answer = who["owner"].call("GET", f"/v2/images/{image_id}/file")
    assert (answer.status_code, answer.data) == (204, b"")


def test_a_deactivated_image_is_for_admins_only(who: dict[str, Person]) -> None:
    owner = who["owner"]
    image_id = owner.create()["id"]
    owner.upload(image_id, b"data")
    assert owner.call("POST", f"/v2/images/{image_id}/actions/deactivate").status_code == 204
    assert owner.call("GET", f"/v2/images/{image_id}/file").status_code == 403
    assert "stores" not in (owner.call("GET", f"/v2/images/{image_id}").json or {})
    assert who["admin"].call("GET", f"/v2/images/{image_id}/file").data == b"data"
    assert owner.patch(image_id, {"op": "replace", "path": "/name", "value": "x"}).status_code == 200
    assert owner.call("DELETE", f"/v2/images/{image_id}").status_code == 204


def test_preferred_stores(who: dict[str, Person], active: str) -> None:
    path = f"/v2/images/{active}/file"
    assert who["owner"].call("GET", f"{path}?prefer=slow,fast").data == DATA
    assert who["owner"].call("GET", f"{path}?prefer=nowhere").status_code == 400
    assert who["reader"].call("GET", f"{path}?prefer=fast").status_code == 403


def test_bytes_that_are_gone_are_not_an_image(service: Service, who: dict[str, Person]) -> None:
    image_id = who["owner"].create()["id"]
    who["owner"].upload(image_id, b"data")
    (Path(str(service.stores.get("fast").properties["data_dir"])) / image_id).unlink()
    assert who["owner"].call("GET", f"/v2/images/{image_id}/file").status_code == 503
    assert who["owner"].call("DELETE", f"/v2/images/{image_id}").status_code == 204, "what is not there can be deleted"


def test_deleting_removes_the_bytes_whoever_deletes(service: Service, who: dict[str, Person]) -> None:
    before = _blobs(service)
    for deactivate in (False, True):
        image_id = who["owner"].create()["id"]
        who["owner"].upload(image_id, b"data")
        if deactivate:
            who["admin"].call("POST", f"/v2/images/{image_id}/actions/deactivate")
        assert who["owner"].call("DELETE", f"/v2/images/{image_id}").status_code == 204
        assert who["owner"].call("GET", f"/v2/images/{image_id}").status_code == 404
    assert _blobs(service) == before


def test_an_id_is_used_once(who: dict[str, Person]) -> None:
    image_id = str(uuid.uuid4())
    wanted = {"id": image_id, "disk_format": "raw", "container_format": "bare"}
    assert who["owner"].call("POST", "/v2/images", wanted).status_code == 201
    assert who["stranger"].call("POST", "/v2/images", wanted).status_code == 409
    assert who["owner"].call("DELETE", f"/v2/images/{image_id}").status_code == 204
    assert who["owner"].call("POST", "/v2/images", wanted).status_code == 409
    assert who["owner"].call("PATCH", f"/v2/images/{image_id}", [], Content_Type=V21).status_code == 404
