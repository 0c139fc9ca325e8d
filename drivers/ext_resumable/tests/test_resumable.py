"""The draft, word for word, on a real server with two workers."""

from __future__ import annotations

import hashlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from resuming import CONFIG, DATA, IDENTITY, OCTETS, PARTIAL, Resuming, image_of, noted, told_early
from waiting import until


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    with lab.service(CONFIG) as made:
        yield made


@pytest.fixture
def client(service: lab.Service) -> Resuming:
    return Resuming(service.url)


def test_a_whole_upload_is_answered_as_ever(client: Resuming) -> None:
    for data in (DATA, iter([DATA[:1000], DATA[1000:]])):
        image_id = client.image()
        answer = client.put(image_id, data, "?1")
        assert (answer.status_code, answer.headers["Upload-Complete"], answer.headers["Upload-Offset"]) == (
            204,
            "?1",
            str(len(DATA)),
        )
        assert client.show(image_id)["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
        assert client.download(image_id).content == DATA


def test_without_the_header_it_is_the_cores(client: Resuming) -> None:
    image_id = client.image()
    answer = client.upload(image_id, DATA)
    assert (answer.status_code, "Upload-Complete" in answer.headers) == (204, False)
    assert client.upload(client.image(), DATA, **{"Content-Type": "text/plain"}).status_code == 415


def test_in_pieces(client: Resuming) -> None:
    url = client.begun()
    head = client.session.head(url)
    assert (
        head.status_code,
        head.headers["Upload-Offset"],
        head.headers["Upload-Complete"],
        head.headers["Cache-Control"],
    ) == (204, "1000", "?0", "no-store")
    assert "Upload-Length" not in head.headers
    assert "max-size=" in head.headers["Upload-Limit"]
    answer = client.patched(url, 1000, DATA[1000:2_000_000], "?0", Upload_Length=str(len(DATA)))
    assert (answer.status_code, answer.headers["Upload-Offset"], answer.headers["Upload-Complete"]) == (
        204,
        "2000000",
        "?0",
    )
    assert client.session.head(url).headers["Upload-Length"] == str(len(DATA))
    answer = client.patched(url, 2_000_000, DATA[2_000_000:], "?1")
    assert (answer.status_code, answer.headers["Upload-Complete"]) == (204, "?1")
    assert client.download(image_of(url)).content == DATA
    assert client.session.head(url).headers["Upload-Complete"] == "?1"


def test_the_end_without_a_length(client: Resuming) -> None:
    url = client.begun()
    assert client.patched(url, 1000, iter([DATA[1000:1500], DATA[1500:2000]]), "?1").status_code == 204
    assert client.download(image_of(url)).content == DATA[:2000]
    url = client.begun()
    assert client.patched(url, 1000, b"", "?1").status_code == 204
    assert client.download(image_of(url)).content == DATA[:1000]


def test_what_is_refused(client: Resuming) -> None:
    for header in ("1", "true", "?2", "", "?1, ?0", '"?1"'):
        image_id = client.image()
        assert client.put(image_id, b"x", header).status_code == 400, header
        assert client.show(image_id)["status"] == "queued"
    answer = client.put(image_id, b"xyz", "?1", Upload_Length="4")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["type"].endswith("#inconsistent-upload-length")
    assert client.put(image_id, b"x", "?0", Content_Type="text/plain").status_code == 415
    assert client.show(image_id)["status"] == "queued"
    url = client.begun()
    answer = client.patched(url, 999, b"x", "?0")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, "1000")
    assert answer.json() == {
        "type": "https://iana.org/assignments/http-problem-types#mismatching-upload-offset",
        "title": answer.json()["title"],
        "status": 409,
        "expected-offset": 1000,
        "provided-offset": 999,
    }
    for offset in ("-1", "x", "1.0", "?1", ""):
        assert client.patched(url, offset, b"x", "?0").status_code == 400, offset
    assert client.patched(url, 1000, b"x", "").status_code == 400
    assert client.patched(url, 1000, b"x", "?0", Content_Type=OCTETS).status_code == 415
    assert (
        client.patched(url, 1000, b"x", "?1", Upload_Length="2000")
        .json()["type"]
        .endswith("#inconsistent-upload-length")
    )
    assert (
        client.patched(url, 1000, b"x", "?0", Upload_Length="999")
        .json()["type"]
        .endswith("#inconsistent-upload-length")
    )
    assert client.session.head(url).headers["Upload-Offset"] == "1000"
    for method in ("HEAD", "PATCH", "DELETE"):
        answer = client.session.request(
            method,
            f"{url}x",
            data=b"x" if method == "PATCH" else None,
            headers={"Content-Type": PARTIAL, "Upload-Offset": "0", "Upload-Complete": "?0"},
        )
        assert answer.status_code == 404


def test_given_up(client: Resuming) -> None:
    url = client.begun()
    assert client.session.delete(url).status_code == 204
    assert client.session.head(url).status_code == client.patched(url, 1000, b"x", "?1").status_code == 404
    assert client.show(image_of(url))["status"] == "queued"


def test_data_of_another_format(client: Resuming) -> None:
    url = client.begun(b"KD", disk_format="qcow2")
    assert client.patched(url, 2, b"MV" + bytes(5000), "?1").status_code == 415
    head = client.session.head(url)
    assert (head.status_code, "Upload-Offset" in head.headers) == (410, False)
    image_id = client.image(disk_format="qcow2")
    assert client.put(image_id, b"KDMV" + bytes(5000), "?1").status_code == 415
    assert client.show(image_id)["status"] == "queued"


def test_others_learn_nothing(service: lab.Service, client: Resuming) -> None:
    url = client.begun(visibility="private")
    stranger, reader = Resuming(service.url, "strangers"), Resuming(service.url, "demo", "reader")
    for who, status in ((stranger, 404), (reader, 403)):
        assert (
            who.session.head(url).status_code
            == who.patched(url, 1000, b"x", "?1").status_code
            == who.session.delete(url).status_code
            == status
        )
        assert who.put(image_of(url), b"x", "?1").status_code == status
    assert client.session.head(url).headers["Upload-Offset"] == "1000"


def test_who_understands_104_goes_on_after_a_break(service: lab.Service, client: Resuming) -> None:
    """Told before the first byte; then the connection breaks, and then the server is killed."""
    image_id = client.image()
    with client.raw(image_id, "Upload-Draft-Interop-Version: 8") as raw:
        raw.sendall(DATA[:1_200_000])
        url = told_early(raw)
    until(lambda: noted(service, url) == 1_200_000)
    offset = int(client.session.head(url).headers["Upload-Offset"])
    assert offset == 1_200_000
    service.stop(signal.SIGKILL)
    service.start()
    client = Resuming(service.url)
    assert client.session.head(url).headers["Upload-Offset"] == str(offset), "what was told stays"
    assert client.patched(url, offset, DATA[offset:], "?1").status_code == 204
    assert client.download(image_id).content == DATA


def test_who_does_not_understand_it_leaves_nothing_behind(client: Resuming) -> None:
    image_id = client.image()
    with client.raw(image_id) as raw:
        raw.sendall(DATA[:1_200_000])
        until(lambda: client.show(image_id)["status"] == "saving")
    until(lambda: client.show(image_id)["status"] == "queued", "it does not know where it would go on")
    assert client.upload(image_id, DATA).status_code == 204


def test_curl_copes_with_104(service: lab.Service, client: Resuming, tmp_path: Path) -> None:
    lab.need("curl")
    image_id, file = client.image(), tmp_path / "disk.img"
    file.write_bytes(DATA)
    words = [word for line in IDENTITY.strip().split("\r\n") for word in ("-H", line)]
    subprocess.run(
        [
            "curl",
            "-sSf",
            *words,
            "-H",
            f"Content-Type: {OCTETS}",
            "-H",
            "Upload-Complete: ?1",
            "-H",
            "Upload-Draft-Interop-Version: 8",
            "-T",
            str(file),
            f"{service.url}/v2/images/{image_id}/file",
        ],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    assert client.download(image_id).content == DATA


def test_it_is_described(client: Resuming) -> None:
    paths = client.call("GET", "/openapi.json").json()["paths"]
    assert set(paths["/v2/images/{image_id}/resumable/{upload_id}"]) == {"head", "patch", "delete"}
