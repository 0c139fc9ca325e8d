"""A small client of the draft, which says what it gets, and what a service keeps."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import lab
import requests
from client import HEADERS_AUTH, Client
from waiting import until

PARTIAL, OCTETS = "application/partial-upload", "application/octet-stream"
CONFIG = lab.merged(
    HEADERS_AUTH,
    {
        "DEFAULT": {"enabled_extensions": "resumable", "workers": 2},
        "lease": {"ttl": 2, "reap_interval": 0.2},
        "periodic": {"embedded": False},
        "uploads": {"part_size": 1 << 20},
        "imports": {"own_process": False},
    },
)
DATA = os.urandom(3_500_000)
IDENTITY = "X-Identity-Status: Confirmed\r\nX-User-Id: u\r\nX-Project-Id: demo\r\nX-Roles: member,reader\r\n"


class Resuming(Client):
    """``way``: what of an image data is sent to, ``file`` or ``stage``. ``headers`` with underscores."""

    def __init__(self, url: str, project: str = "demo", roles: str = "member,reader", *, way: str = "file") -> None:
        super().__init__(url, project, roles)
        self.way = way

    def image(self, **fields: object) -> str:
        return str(self.create(**fields)["id"])

    def put(
        self, image_id: str, data: bytes | Iterable[bytes], complete: str | None = None, **headers: str
    ) -> requests.Response:
        """``complete`` None: not in the words of the draft."""
        said = {} if complete is None else {"Upload-Complete": complete}
        return self.session.put(
            f"{self.url}/v2/images/{image_id}/{self.way}",
            data=data,
            timeout=120,
            headers={"Content-Type": OCTETS, **said, **_named(headers)},
        )

    def patched(
        self, url: str, offset: int | str, data: bytes | Iterable[bytes], complete: str, **headers: str
    ) -> requests.Response:
        return self.session.patch(
            url,
            data=data,
            timeout=120,
            headers={
                "Content-Type": PARTIAL,
                "Upload-Offset": str(offset),
                "Upload-Complete": complete,
                **_named(headers),
            },
        )

    def begun(self, data: bytes = DATA[:1000], **fields: object) -> str:
        answer = self.put(self.image(**fields), data, "?0")
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    def raw(self, image_id: str, *headers: str) -> socket.socket:
        """A connection on which all of DATA is announced, and nothing sent."""
        raw = socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])))
        raw.settimeout(60)
        raw.sendall(
            (
                f"PUT /v2/images/{image_id}/{self.way} HTTP/1.1\r\nHost:"
                f" {self.url.partition('//')[2]}\r\n{IDENTITY}Content-Type: {OCTETS}\r\nUpload-Complete:"
                f" ?1\r\nContent-Length: {len(DATA)}\r\n{''.join(f'{x}{chr(13)}{chr(10)}' for x in headers)}\r\n"
            ).encode()
        )
        return raw

    def head(self, url: str) -> requests.Response:
        return self.session.head(url, timeout=120)

    def offset(self, url: str) -> int:
        """Asked for again, as clients do, while the service does not know yet that whoever sent has died: until the
        lease has ended."""
        answers: list[requests.Response] = []

        def told() -> bool:
            answers.append(self.head(url))
            return answers[-1].status_code != 409

        until(told, lambda: str(answers[-1].headers))
        assert answers[-1].status_code == 204, answers[-1].status_code
        return int(answers[-1].headers["Upload-Offset"])

    def give_up(self, url: str) -> int:
        return self.session.delete(url, timeout=120).status_code

    def importing(self, image_id: str) -> requests.Response:
        return self.call("POST", f"/v2/images/{image_id}/import", {"method": {"name": "glance-direct"}})


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def told_early(raw: socket.socket) -> str:
    """The address that a 104 tells."""
    told = b""
    while b"\r\n\r\n" not in told:
        told += raw.recv(4096)
    assert told.startswith(b"HTTP/1.1 104 "), told
    return next(x.split(b": ", 1)[1] for x in told.split(b"\r\n") if x.startswith(b"Location: ")).decode()


def image_of(url: str) -> str:
    return url.split("/images/")[1].split("/")[0]


def _database(service: lab.Service) -> sqlite3.Connection:
    return sqlite3.connect(str(service.config["database"]["connection"]).removeprefix("sqlite:///"))


def noted(service: lab.Service, url: str) -> int:
    """The offset that the database has; asking for it disturbs nobody, as a HEAD would."""
    with _database(service) as connection:
        [[data]] = connection.execute("select data from records where id = ?", (url.rpartition("/")[2],)).fetchall()
    return int(json.loads(data)[1]["offset"])


def sessions(service: lab.Service, image_id: str) -> list[str]:
    """Ids of the image's uploads that the database knows."""
    with _database(service) as connection:
        return [
            x
            for (x,) in connection.execute(
                "select id from records where image_id = ? and collection like '%uploads'", (image_id,)
            )
        ]


def usage(service: lab.Service) -> tuple[int, int, int, int]:
    """Bytes stored or reserved, staged ones, images that are uploading, leases."""
    with _database(service) as connection:
        [[used, staged, uploading]] = connection.execute(
            "select coalesce(sum(bytes), 0), coalesce(sum(staged_bytes), 0), coalesce(sum(uploading), 0) from"
            " project_usage"
        ).fetchall()
        [[reserved, leases]] = connection.execute("select coalesce(sum(reserved), 0), count(*) from leases").fetchall()
        return used + reserved, staged, uploading, leases


def files(service: lab.Service, image_id: str) -> list[str]:
    """All that the stores have of the image, and what grows there, by their paths."""
    folder = Path(str(service.config["file"]["filesystem_store_datadir"]))
    return sorted(str(x.relative_to(folder)) for x in folder.rglob(f"*{image_id}*"))
