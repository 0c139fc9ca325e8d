"""Parts on a real server: in any order and at once, with digests, sent again, committed, given up, killed between."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lab
import pytest
import requests
from client import HEADERS_AUTH, Client
from waiting import until

CONFIG = lab.merged(
    HEADERS_AUTH,
    {
        "DEFAULT": {"enabled_extensions": "parts", "workers": 2, "user_storage_quota": 50_000_000},
        "lease": {"ttl": 2, "reap_interval": 0.2},
        "periodic": {"embedded": False},
        "uploads": {"part_size": 1 << 20},
    },
)
DATA = os.urandom(3_500_000)
CUTS = [(0, 1_000_000), (1_000_000, 2_200_000), (2_200_000, len(DATA))]
OCTETS = {"Content-Type": "application/octet-stream"}


class Sender(Client):
    def parts(self, image_id: str, method: str = "GET", body: object = None) -> requests.Response:
        return self.session.request(method, f"{self.url}/v2/images/{image_id}/parts", json=body, timeout=120)

    def part(self, image_id: str, number: object, data: bytes | None, **headers: str) -> requests.Response:
        """``data`` None: give it up."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(
            "DELETE" if data is None else "PUT",
            f"{self.url}/v2/images/{image_id}/parts/{number}",
            data=data,
            timeout=120,
            headers={**self.session.headers, **({} if data is None else OCTETS), **named},
        )

    def sent(self, image_id: str, *numbers: int) -> None:
        for number in numbers:
            first, end = CUTS[number - 1]
            answer = self.part(image_id, number, DATA[first:end])
            assert answer.status_code == 204, answer.text

    def numbers(self, image_id: str) -> list[tuple[int, int, bool]]:
        return [(x["number"], x["received"], x["complete"]) for x in self.parts(image_id).json()["parts"]]


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    with lab.service(CONFIG) as made:
        yield made


@pytest.fixture
def sender(service: lab.Service) -> Sender:
    return Sender(service.url)


@pytest.fixture
def image_id(sender: Sender) -> str:
    return str(sender.create()["id"])


def usage(service: lab.Service) -> tuple[int, int, int]:
    """Bytes used or reserved, images that are uploading, leases."""
    with sqlite3.connect(service.folder / "glance.sqlite") as connection:
        [[used, uploading]] = connection.execute(
            "select coalesce(sum(bytes), 0), coalesce(sum(uploading), 0) from project_usage"
        ).fetchall()
        [[reserved, leases]] = connection.execute("select coalesce(sum(reserved), 0), count(*) from leases").fetchall()
        return used + reserved, uploading, leases


def left(service: lab.Service, image_id: str) -> list[str]:
    """Files of the image, wherever."""
    return [x.name for x in service.folder.rglob(f"*{image_id}*")]


def digest(data: bytes, name: str = "sha-256") -> str:
    return f"{name}=:{base64.b64encode(hashlib.new(name.replace('-', ''), data).digest()).decode()}:"


def test_parts_at_once_become_the_image(service: lab.Service, sender: Sender, image_id: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        answers = list(
            pool.map(
                lambda n: sender.part(
                    image_id,
                    n,
                    DATA[CUTS[n - 1][0] : CUTS[n - 1][1]],
                    Content_Digest=digest(DATA[CUTS[n - 1][0] : CUTS[n - 1][1]]),
                ),
                (3, 1, 2),
            )
        )
    assert [x.status_code for x in answers] == [204] * 3, [x.text for x in answers]
    assert sender.numbers(image_id) == [(1, 1_000_000, True), (2, 1_200_000, True), (3, 1_300_000, True)]
    assert sender.show(image_id)["status"] == "saving"
    for said in ({"parts": 4}, {"parts": 2}, {"size": 5}, {"parts": 3, "size": len(DATA) + 1}):
        assert sender.parts(image_id, "POST", said).status_code == 409, said
    answer = sender.parts(image_id, "POST", {"parts": 3, "size": len(DATA)})
    assert answer.status_code == 204, answer.text
    shown = sender.show(image_id)
    assert (shown["status"], shown["os_hash_value"]) == ("active", hashlib.sha512(DATA).hexdigest())
    assert sender.download(image_id).content == DATA
    assert len(left(service, image_id)) == 1
    assert sender.parts(image_id, "POST", {"parts": 3}).status_code == 204, "who has lost the answer asks again"
    assert sender.parts(image_id, "POST", {"parts": 2}).status_code == 409
    assert sender.parts(image_id).json() == {"state": "done", "message": None, "most": 50, "parts": []}
    assert sender.part(image_id, 1, b"more").status_code == 409
    sender.delete(image_id)


def test_a_part_that_is_sent_again_replaces_the_one_before(sender: Sender, image_id: str) -> None:
    sender.sent(image_id, 1, 2, 3)
    assert sender.part(image_id, 2, b"other", Content_Digest=digest(b"another")).status_code == 400
    assert sender.numbers(image_id)[1] == (2, 1_200_000, True), "what was acknowledged is not lost"
    assert sender.part(image_id, 2, b"other", Content_Digest=digest(b"other", "sha-512")).status_code == 204
    assert sender.numbers(image_id)[1] == (2, 5, True)
    assert sender.parts(image_id, "POST", {}).status_code == 204
    assert sender.download(image_id).content == DATA[:1_000_000] + b"other" + DATA[2_200_000:]
    sender.delete(image_id)


def test_a_part_that_breaks_off_is_sent_again(service: lab.Service, sender: Sender, image_id: str) -> None:
    sender.sent(image_id, 1)
    with socket.create_connection(("127.0.0.1", service.port)) as broken:
        head = "".join(
            f"{name}: {value}\r\n"
            for name, value in {**sender.session.headers, **OCTETS}.items()
            if name.lower() not in ("connection", "accept-encoding")
        )
        broken.sendall(
            f"PUT /v2/images/{image_id}/parts/2 HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 1200000\r\n\r\n".encode()
            + DATA[1_000_000:1_100_000]
        )
        until(lambda: len(sender.numbers(image_id)) == 2)
    answer = sender.parts(image_id, "POST", {"parts": 2})
    assert answer.status_code == 409
    assert "part 2 is missing" in answer.json()["message"]
    sender.sent(image_id, 2, 3)
    assert sender.parts(image_id, "POST", {"parts": 3}).status_code == 204
    assert sender.download(image_id).content == DATA
    sender.delete(image_id)


def test_parts_are_given_up(service: lab.Service, sender: Sender, image_id: str) -> None:
    before = usage(service)
    assert sender.parts(image_id, "DELETE").status_code == 404
    sender.sent(image_id, 1, 2)
    assert usage(service) == (before[0] + 2_200_000, before[1] + 1, before[2] + 1)
    assert [sender.part(image_id, n, None).status_code for n in (1, 1, 3)] == [204, 404, 404]
    assert usage(service)[0] == before[0] + 1_200_000
    assert sender.parts(image_id, "POST", {}).status_code == 409
    assert sender.parts(image_id, "DELETE").status_code == 204
    assert (sender.show(image_id)["status"], usage(service), left(service, image_id)) == ("queued", before, [])
    assert sender.upload(image_id, b"plain").status_code == 204
    sender.delete(image_id)


def test_what_is_refused(service: lab.Service, sender: Sender, image_id: str) -> None:
    for number in ("0", "51", "-1", "1.5", "one", "9" * 5000, "%D9%A1"):
        assert sender.part(image_id, number, b"x").status_code == 400, number
    for value in ("", "md5=:AAAA:", "sha-256=AAAA", "sha-256", "sha-256=:%%%:", "x" * 4000):
        answer = sender.part(image_id, 1, b"x", Content_Digest=value)
        assert (answer.status_code, "Content-Digest" in answer.text) == (400, True), (value, answer.text)
    assert sender.part(image_id, 1, b"").status_code == 400
    assert sender.part(image_id, 1, b"x", Content_Type="text/plain").status_code == 415
    chunked = requests.put(
        f"{sender.url}/v2/images/{image_id}/parts/1",
        data=iter([b"x"]),
        headers={**sender.session.headers, **OCTETS},
        timeout=60,
    )
    assert chunked.status_code == 411, chunked.text
    for body in ({"parts": 0}, {"parts": 51}, {"parts": "1"}, {"size": -1}, {"more": 1}, [], None):
        assert sender.parts(image_id, "POST", body).status_code == 400, body
    assert sender.part(image_id, 1, b"x", X_Image_Meta_Store="nowhere").status_code in (400, 409)
    assert sender.show(image_id)["status"] == "queued"
    sender.sent(image_id, 1)
    stranger = Sender(service.url, "others")
    assert [
        stranger.parts(image_id, x, {} if x == "POST" else None).status_code for x in ("GET", "POST", "DELETE")
    ] == [404] * 3
    assert [stranger.part(image_id, 1, x).status_code for x in (b"x", None)] == [404, 404]
    assert sender.numbers(image_id) == [(1, 1_000_000, True)]
    large = sender.part(image_id, 2, bytes(49_500_000))
    assert (large.status_code, sender.numbers(image_id)) == (413, [(1, 1_000_000, True)]), "the quota"
    sender.delete(image_id)
    until(lambda: not left(service, image_id), "a part is left behind")


def test_killed_between(tmp_path: Any) -> None:
    """What was acknowledged is there when the service is back."""
    with lab.service(CONFIG, folder=tmp_path) as service:
        sender = Sender(service.url)
        image_id = str(sender.create()["id"])
        sender.sent(image_id, 3, 1)
        service.stop(signal.SIGKILL)
        service.start()
        sender = Sender(service.url)
        assert sender.numbers(image_id) == [(1, 1_000_000, True), (3, 1_300_000, True)]
        sender.sent(image_id, 2)
        answers = [sender.parts(image_id, "POST", {"parts": 3, "size": len(DATA)})]
        assert answers[0].status_code == 204, answers[0].text
        assert sender.download(image_id).content == DATA
        assert len(left(service, image_id)) == 1
        assert usage(service) == (len(DATA), 0, 0)
