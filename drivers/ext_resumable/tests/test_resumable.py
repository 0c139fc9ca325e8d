"""The draft, word for word, on a real server with two workers."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
import requests
from client import HEADERS_AUTH, Client
from waiting import until

PARTIAL, OCTETS = "application/partial-upload", "application/octet-stream"
CONFIG = lab.merged(HEADERS_AUTH, {
    "DEFAULT": {"enabled_extensions": "resumable", "workers": 2}, "lease": {"ttl": 2, "reap_interval": 0.2}, "periodic": {"embedded": False},
    "uploads": {"part_size": 1 << 20}})
DATA = os.urandom(3_500_000)
IDENTITY = "X-Identity-Status: Confirmed\r\nX-User-Id: u\r\nX-Project-Id: demo\r\nX-Roles: member,reader\r\n"


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    with lab.service(CONFIG) as made:
        yield made


@pytest.fixture
def client(service: lab.Service) -> Client:
    return Client(service.url)


def image(client: Client, **fields: object) -> str:
    return str(client.create(**fields)["id"])


def put(client: Client, image_id: str, data: bytes | Iterator[bytes], complete: str, **headers: str) -> requests.Response:
    return client.upload(image_id, data, **{"Upload-Complete": complete, **{k.replace("_", "-"): v for k, v in headers.items()}})


def patch(client: Client, url: str, offset: int | str, data: bytes | Iterator[bytes], complete: str, **headers: str) -> requests.Response:
    return client.session.patch(url, data=data, timeout=120, headers={
        "Content-Type": PARTIAL, "Upload-Offset": str(offset), "Upload-Complete": complete, **{k.replace("_", "-"): v for k, v in headers.items()}})


def begun(client: Client, data: bytes = DATA[:1000], **fields: object) -> str:
    answer = put(client, image(client, **fields), data, "?0")
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def image_of(url: str) -> str:
    return url.split("/images/")[1].split("/")[0]


def test_a_whole_upload_is_answered_as_ever(client: Client) -> None:
    for data in (DATA, iter([DATA[:1000], DATA[1000:]])):
        image_id = image(client)
        answer = put(client, image_id, data, "?1")
        assert (answer.status_code, answer.headers["Upload-Complete"], answer.headers["Upload-Offset"]) == (204, "?1", str(len(DATA)))
        assert client.show(image_id)["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
        assert client.download(image_id).content == DATA


def test_without_the_header_it_is_the_cores(client: Client) -> None:
    image_id = image(client)
    answer = client.upload(image_id, DATA)
    assert (answer.status_code, "Upload-Complete" in answer.headers) == (204, False)
    assert client.upload(image(client), DATA, **{"Content-Type": "text/plain"}).status_code == 415


def test_in_pieces(client: Client) -> None:
    url = begun(client)
    head = client.session.head(url)
    assert (head.status_code, head.headers["Upload-Offset"], head.headers["Upload-Complete"], head.headers["Cache-Control"]) == (204, "1000", "?0", "no-store")
    assert "Upload-Length" not in head.headers
    assert "max-size=" in head.headers["Upload-Limit"]
    answer = patch(client, url, 1000, DATA[1000:2_000_000], "?0", Upload_Length=str(len(DATA)))
    assert (answer.status_code, answer.headers["Upload-Offset"], answer.headers["Upload-Complete"]) == (204, "2000000", "?0")
    assert client.session.head(url).headers["Upload-Length"] == str(len(DATA))
    answer = patch(client, url, 2_000_000, DATA[2_000_000:], "?1")
    assert (answer.status_code, answer.headers["Upload-Complete"]) == (204, "?1")
    assert client.download(image_of(url)).content == DATA
    assert client.session.head(url).headers["Upload-Complete"] == "?1"


def test_the_end_without_a_length(client: Client) -> None:
    url = begun(client)
    assert patch(client, url, 1000, iter([DATA[1000:1500], DATA[1500:2000]]), "?1").status_code == 204
    assert client.download(image_of(url)).content == DATA[:2000]
    url = begun(client)
    assert patch(client, url, 1000, b"", "?1").status_code == 204
    assert client.download(image_of(url)).content == DATA[:1000]


def test_what_is_refused(client: Client) -> None:
    for header in ("1", "true", "?2", "", "?1, ?0", '"?1"'):
        image_id = image(client)
        assert put(client, image_id, b"x", header).status_code == 400, header
        assert client.show(image_id)["status"] == "queued"
    answer = put(client, image_id, b"xyz", "?1", Upload_Length="4")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["type"].endswith("#inconsistent-upload-length")
    assert put(client, image_id, b"x", "?0", Content_Type="text/plain").status_code == 415
    assert client.show(image_id)["status"] == "queued"
    url = begun(client)
    answer = patch(client, url, 999, b"x", "?0")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, "1000")
    assert answer.json() == {"type": "https://iana.org/assignments/http-problem-types#mismatching-upload-offset", "title": answer.json()["title"], "status": 409,
                             "expected-offset": 1000, "provided-offset": 999}
    for offset in ("-1", "x", "1.0", "?1", ""):
        assert patch(client, url, offset, b"x", "?0").status_code == 400, offset
    assert patch(client, url, 1000, b"x", "").status_code == 400
    assert patch(client, url, 1000, b"x", "?0", Content_Type=OCTETS).status_code == 415
    assert patch(client, url, 1000, b"x", "?1", Upload_Length="2000").json()["type"].endswith("#inconsistent-upload-length")
    assert patch(client, url, 1000, b"x", "?0", Upload_Length="999").json()["type"].endswith("#inconsistent-upload-length")
    assert client.session.head(url).headers["Upload-Offset"] == "1000"
    for method in ("HEAD", "PATCH", "DELETE"):
        answer = client.session.request(method, f"{url}x", data=b"x" if method == "PATCH" else None, headers={
            "Content-Type": PARTIAL, "Upload-Offset": "0", "Upload-Complete": "?0"})
        assert answer.status_code == 404


def test_given_up(client: Client) -> None:
    url = begun(client)
    assert client.session.delete(url).status_code == 204
    assert client.session.head(url).status_code == patch(client, url, 1000, b"x", "?1").status_code == 404
    assert client.show(image_of(url))["status"] == "queued"


def test_data_of_another_format(client: Client) -> None:
    url = begun(client, b"KD", disk_format="qcow2")
    assert patch(client, url, 2, b"MV" + bytes(5000), "?1").status_code == 415
    head = client.session.head(url)
    assert (head.status_code, "Upload-Offset" in head.headers) == (410, False)
    image_id = image(client, disk_format="qcow2")
    assert put(client, image_id, b"KDMV" + bytes(5000), "?1").status_code == 415
    assert client.show(image_id)["status"] == "queued"


def test_others_learn_nothing(service: lab.Service, client: Client) -> None:
    url = begun(client, visibility="private")
    stranger, reader = Client(service.url, "strangers"), Client(service.url, "demo", "reader")
    for who, status in ((stranger, 404), (reader, 403)):
        assert who.session.head(url).status_code == patch(who, url, 1000, b"x", "?1").status_code == who.session.delete(url).status_code == status
        assert put(who, image_of(url), b"x", "?1").status_code == status
    assert client.session.head(url).headers["Upload-Offset"] == "1000"


def _raw(client: Client, image_id: str, *headers: str) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", int(client.url.rpartition(":")[2])))
    raw.settimeout(60)
    raw.sendall((f"PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: {client.url.partition('//')[2]}\r\n{IDENTITY}Content-Type: {OCTETS}\r\nUpload-Complete: ?1\r\n"
                 f"Content-Length: {len(DATA)}\r\n{''.join(f'{x}{chr(13)}{chr(10)}' for x in headers)}\r\n").encode())
    return raw


def _noted(service: lab.Service, url: str) -> int:
    """The offset that the database has."""
    with sqlite3.connect(service.folder / "glance.sqlite") as connection:
        [[data]] = connection.execute("select data from records where id = ?", (url.rpartition("/")[2],)).fetchall()
    return int(json.loads(data)[1]["offset"])


def test_who_understands_104_goes_on_after_a_break(service: lab.Service, client: Client) -> None:
    """Told before the first byte; then the connection breaks, and then the server is killed."""
    image_id = image(client)
    with _raw(client, image_id, "Upload-Draft-Interop-Version: 8") as raw:
        raw.sendall(DATA[:1_200_000])
        told = b""
        while b"\r\n\r\n" not in told:
            told += raw.recv(4096)
    assert told.startswith(b"HTTP/1.1 104 ")
    url = next(x.split(b": ", 1)[1] for x in told.split(b"\r\n") if x.startswith(b"Location: ")).decode()
    until(lambda: _noted(service, url) == 1_200_000)  # which disturbs nobody, as a HEAD would
    offset = int(client.session.head(url).headers["Upload-Offset"])
    assert offset == 1_200_000
    service.stop(signal.SIGKILL)
    service.start()
    client = Client(service.url)
    assert client.session.head(url).headers["Upload-Offset"] == str(offset), "what was told stays"
    assert patch(client, url, offset, DATA[offset:], "?1").status_code == 204
    assert client.download(image_id).content == DATA


def test_who_does_not_understand_it_leaves_nothing_behind(client: Client) -> None:
    image_id = image(client)
    with _raw(client, image_id) as raw:
        raw.sendall(DATA[:1_200_000])
        until(lambda: client.show(image_id)["status"] == "saving")
    until(lambda: client.show(image_id)["status"] == "queued", "it does not know where it would go on")
    assert client.upload(image_id, DATA).status_code == 204


def test_curl_copes_with_104(service: lab.Service, client: Client, tmp_path: Path) -> None:
    lab.need("curl")
    image_id, file = image(client), tmp_path / "disk.img"
    file.write_bytes(DATA)
    words = [word for line in IDENTITY.strip().split("\r\n") for word in ("-H", line)]
    subprocess.run(["curl", "-sSf", *words, "-H", f"Content-Type: {OCTETS}", "-H", "Upload-Complete: ?1", "-H", "Upload-Draft-Interop-Version: 8", "-T", str(file),
                    f"{service.url}/v2/images/{image_id}/file"], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert client.download(image_id).content == DATA


def test_it_is_described(client: Client) -> None:
    paths = client.call("GET", "/openapi.json").json()["paths"]
    assert set(paths["/v2/images/{image_id}/resumable/{upload_id}"]) == {"head", "patch", "delete"}
