"""The protocol, word for word, on a real server with two workers."""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Iterator

import lab
import pytest
from tusing import CONFIG, DATA, OFFSET_OCTETS, Tus, image_of, staged
from waiting import until


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    with lab.service(CONFIG) as made:
        yield made


@pytest.fixture
def tus(service: lab.Service) -> Tus:
    return Tus(service.url)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def checksum(algorithm: str, data: bytes) -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data, usedforsecurity=False).digest()).decode()}"


def test_options_without_identity(tus: Tus) -> None:
    for path in (f"/v2/images/{tus.image()}/uploads", "/v2/images/x/uploads/y"):
        answer = tus.call("OPTIONS", path, Tus_Resumable="", X_Identity_Status="Invalid")
        assert answer.status_code == 204
        assert answer.headers["Tus-Version"] == answer.headers["Tus-Resumable"] == "1.0.0"
        assert set(answer.headers["Tus-Extension"].split(",")) == {
            "creation",
            "creation-with-upload",
            "creation-defer-length",
            "checksum",
            "expiration",
            "termination",
            "concatenation",
        }
        assert int(answer.headers["Tus-Max-Size"]) > 1 << 30
        assert "sha1" in answer.headers["Tus-Checksum-Algorithm"].split(",")


@pytest.mark.parametrize("zeros", [100, 4300, 5000])
def test_zeros_in_front_of_a_number_mean_nothing(tus: Tus, zeros: int) -> None:
    place = f"/v2/images/{tus.image()}/uploads"
    answer = tus.call("POST", place, Upload_Length="0" * zeros + "2000")
    assert answer.status_code == 201, answer.text
    url = answer.headers["Location"]
    assert tus.call("HEAD", url).headers["Upload-Length"] == "2000"
    assert tus.patch(url, 0, b"x" * 10, Upload_Offset="0" * zeros).status_code == 204
    assert tus.call("POST", place, Upload_Length="9" * zeros).status_code == 413


def test_an_upload_in_pieces(service: lab.Service, tus: Tus) -> None:
    metadata = f"filename {encoded('disk.img')},empty"
    answer = tus.create(tus.image(), Upload_Metadata=metadata)
    assert answer.status_code == 201, answer.text
    assert (answer.content, answer.headers["Tus-Resumable"]) == (b"", "1.0.0")
    url = answer.headers["Location"]
    assert url.startswith(f"{service.url}/v2/images/")
    assert "Upload-Offset" not in answer.headers
    assert answer.headers["Upload-Expires"].endswith("GMT")
    head = tus.call("HEAD", url)
    assert (head.status_code, head.headers["Upload-Offset"], head.headers["Upload-Length"]) == (
        200,
        "0",
        str(len(DATA)),
    )
    assert (head.headers["Upload-Metadata"], head.headers["Cache-Control"]) == (metadata, "no-store")
    assert tus.client.show(image_of(url))["status"] == "saving"
    for first, end in ((0, 1), (1, 2_000_000), (2_000_000, len(DATA))):
        answer = tus.patch(url, first, DATA[first:end])
        assert (answer.status_code, answer.headers["Upload-Offset"], answer.headers["Tus-Resumable"]) == (
            204,
            str(end),
            "1.0.0",
        )
        assert "Upload-Expires" in answer.headers
    shown = tus.client.show(image_of(url))
    assert (shown["status"], shown["os_hash_value"]) == ("active", hashlib.sha512(DATA).hexdigest())
    assert tus.client.download(image_of(url)).content == DATA
    assert tus.offset(url) == len(DATA), "who was not told asks once more"
    assert tus.call("DELETE", url).status_code == 204
    assert tus.call("HEAD", url).status_code == 404
    assert tus.client.show(image_of(url))["status"] == "active"
    until(lambda: staged(service) == [])


def test_creation_with_upload(tus: Tus) -> None:
    answer = tus.call(
        "POST", f"/v2/images/{tus.image()}/uploads", DATA[:1000], Upload_Length="2000", Content_Type=OFFSET_OCTETS
    )
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "1000")
    assert tus.patch(answer.headers["Location"], 1000, DATA[1000:2000]).status_code == 204
    image_id = tus.image()
    answer = tus.call(
        "POST", f"/v2/images/{image_id}/uploads", DATA, Upload_Length=str(len(DATA)), Content_Type=OFFSET_OCTETS
    )
    assert (answer.status_code, tus.client.show(image_id)["status"]) == (201, "active")
    image_id = tus.image()
    assert tus.create(image_id, 0).status_code == 201
    assert (tus.client.show(image_id)["status"], tus.client.show(image_id)["size"]) == ("active", 0)


def test_a_creation_whose_bytes_are_not_taken_leaves_nothing(tus: Tus) -> None:
    image_id = tus.image(disk_format="qcow2")
    answer = tus.call(
        "POST",
        f"/v2/images/{image_id}/uploads",
        b"KDMV" + bytes(5000),
        Upload_Length="6000",
        Content_Type=OFFSET_OCTETS,
    )
    assert answer.status_code == 415
    assert tus.client.show(image_id)["status"] == "queued"
    answer = tus.call(
        "POST",
        f"/v2/images/{image_id}/uploads",
        b"x",
        Upload_Length="1",
        Content_Type=OFFSET_OCTETS,
        Upload_Checksum=checksum("sha1", b"y"),
    )
    assert answer.status_code == 460
    assert tus.client.show(image_id)["status"] == "queued"
    with socket.create_connection(("127.0.0.1", int(tus.client.url.rpartition(":")[2]))) as raw:
        raw.sendall(
            (
                f"POST /v2/images/{image_id}/uploads HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Length:"
                f" 1000000\r\nContent-Type: {OFFSET_OCTETS}\r\nX-Identity-Status: Confirmed\r\nX-User-Id:"
                " u\r\nX-Project-Id: demo\r\nX-Roles: member,reader\r\nContent-Length: 1000000\r\n\r\nsome"
            ).encode()
        )
        until(lambda: tus.client.show(image_id)["status"] == "saving")
    until(lambda: tus.client.show(image_id)["status"] == "queued", "nobody was told where it goes on")


def test_a_creation_whose_answer_was_lost_gives_way(tus: Tus) -> None:
    image_id = tus.image()
    first, second = tus.create(image_id), tus.create(image_id)
    assert second.status_code == 201
    assert tus.call("HEAD", first.headers["Location"]).status_code == 404
    assert tus.patch(second.headers["Location"], 0, DATA[:10]).status_code == 204
    third = tus.create(image_id)
    assert third.status_code == 409, "one that has got bytes does not"
    [found] = tus.uploads(image_id)
    assert (found["url"], found["offset"], found["state"], found["length"]) == (
        second.headers["Location"],
        10,
        "open",
        len(DATA),
    )
    assert tus.call("DELETE", found["url"]).status_code == 204
    assert tus.uploads(image_id) == []
    assert tus.create(image_id).status_code == 201


def test_a_length_that_is_told_later(tus: Tus) -> None:
    url = tus.begun(None)
    head = tus.call("HEAD", url)
    assert (head.headers["Upload-Defer-Length"], "Upload-Length" in head.headers) == ("1", False)
    assert tus.patch(url, 0, DATA[:1000]).status_code == 204
    assert tus.patch(url, 1000, b"", Upload_Length="2000").status_code == 204
    assert tus.call("HEAD", url).headers["Upload-Length"] == "2000"
    assert tus.patch(url, 1000, b"x", Upload_Length="3000").status_code == 400
    assert tus.patch(url, 1000, DATA[1000:2000]).status_code == 204
    assert tus.client.show(image_of(url))["status"] == "active"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "md5"])
def test_checksums(tus: Tus, algorithm: str) -> None:
    url = tus.begun(2000)
    answer = tus.patch(url, 0, DATA[:1000], Upload_Checksum=checksum(algorithm, DATA[:999]))
    assert (answer.status_code, answer.headers["Tus-Resumable"]) == (460, "1.0.0")
    assert tus.offset(url) == 0
    assert tus.patch(url, 0, DATA[:1000], Upload_Checksum=checksum(algorithm, DATA[:1000])).status_code == 204
    assert tus.offset(url) == 1000


@pytest.mark.parametrize("said", ["sha3 AAAA", "sha1", "sha1 not base64", "sha1 AAAA", ""])
def test_checksums_that_are_none(tus: Tus, said: str) -> None:
    url = tus.begun(2000)
    answer = tus.client.session.patch(
        url,
        data=b"x",
        headers={
            "Tus-Resumable": "1.0.0",
            "Content-Type": OFFSET_OCTETS,
            "Upload-Offset": "0",
            "Upload-Checksum": said,
        },
    )
    assert answer.status_code == 400, answer.text
    assert tus.offset(url) == 0


def test_what_is_refused(tus: Tus) -> None:
    image_id = tus.image()
    uploads = f"/v2/images/{image_id}/uploads"
    for version in ("", "0.2.2", "1.0.1"):
        answer = tus.call("POST", uploads, Tus_Resumable=version, Upload_Length="1")
        assert (answer.status_code, answer.headers["Tus-Version"]) == (412, "1.0.0")
    for headers in (
        {},
        {"Upload_Length": "-1"},
        {"Upload_Length": "x"},
        {"Upload_Length": "1", "Upload_Defer_Length": "1"},
        {"Upload_Defer_Length": "2"},
        {"Upload_Length": "1", "Upload_Metadata": "key not-base64!"},
        {"Upload_Length": "1", "Upload_Metadata": "a YQ==,a YQ=="},
        {"Upload_Length": "1", "Upload_Metadata": f"a {'A' * 5000}"},
    ):
        answer = tus.call("POST", uploads, **headers)
        assert (answer.status_code, answer.headers["Tus-Resumable"]) == (400, "1.0.0"), (headers, answer.text)
    assert tus.call("POST", uploads, Upload_Length=str(10**17)).status_code == 413
    assert tus.call("POST", uploads, Upload_Length="9" * 40).status_code == 413
    assert tus.call("POST", uploads, Upload_Length="60000000").status_code == 413, "the quota"
    assert (
        tus.call("POST", uploads, Upload_Length="1", Upload_Metadata=f"store {encoded('nowhere')}").status_code == 400
    )
    assert tus.call("POST", uploads, b"x", Upload_Length="1", Content_Type="text/plain").status_code == 415
    assert tus.client.show(image_id)["status"] == "queued"
    url = tus.begun(1000)
    assert tus.patch(url, 0, b"x", Content_Type="application/octet-stream").status_code == 415
    assert tus.patch(url, 1, b"x").status_code == 409
    assert tus.patch(url, 0, DATA[:1001]).status_code == 400
    for offset in ("", "-1", "x", "1.0"):
        assert tus.patch(url, 0, b"x", Upload_Offset=offset).status_code == 400
    assert tus.offset(url) == 0
    assert tus.call("HEAD", url, Tus_Resumable="").status_code == 412
    for path in (f"{uploads}/nothing", "/v2/images/nothing/uploads/nothing"):
        for method in ("HEAD", "PATCH", "DELETE"):
            answer = tus.call(method, path, Upload_Offset="0", Content_Type=OFFSET_OCTETS)
            assert (answer.status_code, "Upload-Offset" in answer.headers) == (404, False)
    assert tus.call("POST", url, b"x", X_HTTP_Method_Override="PUT").status_code == 400


def test_the_method_in_a_header(tus: Tus) -> None:
    url = tus.begun(1000)
    answer = tus.call(
        "POST", url, DATA[:500], X_HTTP_Method_Override="PATCH", Upload_Offset="0", Content_Type=OFFSET_OCTETS
    )
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "500")
    assert tus.call("POST", url, X_HTTP_Method_Override="DELETE").status_code == 204
    assert tus.call("HEAD", url).status_code == 404


def test_given_up(service: lab.Service, tus: Tus) -> None:
    url = tus.begun()
    assert tus.patch(url, 0, DATA[:2_000_000]).status_code == 204
    assert tus.call("DELETE", url).status_code == 204
    assert tus.call("HEAD", url).status_code == tus.patch(url, 0, b"x").status_code == 404
    image_id = image_of(url)
    assert tus.client.show(image_id)["status"] == "queued"
    assert [x for x in staged(service) if x.startswith(image_id)] == []
    assert tus.client.upload(image_id, b"in one piece").status_code == 204


def test_one_that_has_failed_is_gone(tus: Tus) -> None:
    url = tus.begun(disk_format="qcow2")
    assert tus.patch(url, 0, b"KD").status_code == 204
    assert tus.patch(url, 2, b"MV" + bytes(5000)).status_code == 415
    head = tus.call("HEAD", url)
    assert (head.status_code, "Upload-Offset" in head.headers) == (410, False)
    assert tus.patch(url, 2, b"x").status_code == 410
    [told] = tus.uploads(image_of(url))
    assert told["state"] == "failed"
    assert "qcow2" in told["message"]


def test_others_learn_nothing(service: lab.Service, tus: Tus) -> None:
    url = tus.begun(1000)
    boss = Tus(service.url, "boss", "admin,member,reader")
    assert (
        boss.client.patch(image_of(url), {"op": "replace", "path": "/visibility", "value": "public"}).status_code == 200
    )
    for other, status in ((Tus(service.url, "strangers"), 403), (Tus(service.url, "demo", "reader"), 403)):
        for path in (url, f"{url}x"):
            assert (
                other.call("HEAD", path).status_code
                == other.patch(path, 0, b"x").status_code
                == other.call("DELETE", path).status_code
                == status
            )
        assert other.call("GET", f"/v2/images/{image_of(url)}/uploads").status_code == status
    private = tus.begun(1000, visibility="private")
    stranger = Tus(service.url, "strangers")
    assert (
        stranger.call("HEAD", private).status_code
        == stranger.patch(private, 0, b"x").status_code
        == stranger.create(image_of(private)).status_code
        == 404
    )
    assert tus.offset(url) == tus.offset(private) == 0
    assert boss.patch(url, 0, DATA[:1000]).status_code == 204, "an administrator may"


def test_a_connection_that_breaks_keeps_what_has_come(tus: Tus) -> None:
    url = tus.begun()
    with socket.create_connection(("127.0.0.1", int(tus.client.url.rpartition(":")[2]))) as raw:
        raw.sendall(
            (
                f"PATCH {url.removeprefix(tus.client.url)} HTTP/1.1\r\nHost: x\r\nTus-Resumable:"
                f" 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: {OFFSET_OCTETS}\r\nX-Identity-Status:"
                " Confirmed\r\nX-User-Id: u\r\nX-Project-Id: demo\r\nX-Roles: member,reader\r\nContent-Length:"
                f" {len(DATA)}\r\n\r\n"
            ).encode()
        )
        raw.sendall(DATA[:1_234_567])
    until(
        lambda: tus.uploads(image_of(url))[0]["offset"] == 1_234_567, lambda: str(tus.uploads(image_of(url)))
    )  # which disturbs nobody
    assert tus.offset(url) == 1_234_567
    assert tus.patch(url, 1_234_567, DATA[1_234_567:]).status_code == 204
    assert tus.client.download(image_of(url)).content == DATA


def test_an_older_transfer_that_is_silent_is_ended(service: lab.Service, tus: Tus) -> None:
    """At whichever worker: the offset that is told is where it goes on, and nothing of the older one comes behind."""
    for _ in range(3):
        url = tus.begun()
        with socket.create_connection(("127.0.0.1", int(tus.client.url.rpartition(":")[2]))) as raw:
            raw.sendall(
                (
                    f"PATCH {url.removeprefix(tus.client.url)} HTTP/1.1\r\nHost: x\r\nTus-Resumable:"
                    f" 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: {OFFSET_OCTETS}\r\nX-Identity-Status:"
                    " Confirmed\r\nX-User-Id: u\r\nX-Project-Id: demo\r\nX-Roles: member,reader\r\nContent-Length:"
                    f" {len(DATA)}\r\n\r\n"
                ).encode()
            )
            raw.sendall(DATA[:1_500_000])
            until(lambda: [x for x in tus.uploads(image_of(url)) if x["offset"]])  # noqa: B023
            offset = Tus(service.url).offset(url)
            assert offset >= 1 << 20
            assert tus.patch(url, offset, DATA[offset:2_000_000]).status_code == 204
            raw.sendall(DATA[1_500_000:])
            raw.settimeout(30)
            assert b" 409 " in raw.recv(4096).partition(b"\r\n")[0]
        assert tus.offset(url) == 2_000_000
        assert tus.patch(url, 2_000_000, DATA[2_000_000:]).status_code == 204
        assert tus.client.download(image_of(url)).content == DATA


def test_the_image_is_deleted_meanwhile(service: lab.Service, tus: Tus) -> None:
    url = tus.begun()
    assert tus.patch(url, 0, DATA[:2_000_000]).status_code == 204
    assert tus.client.delete(image_of(url)).status_code == 204
    assert tus.call("HEAD", url).status_code == tus.patch(url, 2_000_000, b"x").status_code == 404
    until(lambda: not [x for x in staged(service) if x.startswith(image_of(url))])


def test_it_is_described(tus: Tus) -> None:
    assert {"name": "tus", "version": "1.0.0", "title": "Uploads in pieces, by tus 1.0.0"} in tus.client.call(
        "GET", "/v2/info/extensions"
    ).json()["extensions"]
    paths = tus.client.call("GET", "/openapi.json").json()["paths"]
    assert set(paths["/v2/images/{image_id}/uploads"]) == {"get", "post", "options"}
    assert set(paths["/v2/images/{image_id}/uploads/{upload_id}"]) == {"head", "patch", "delete", "post", "options"}
