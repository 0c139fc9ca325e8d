"""A small tus client, which says what it gets."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lab
import requests
from client import HEADERS_AUTH, Client
from waiting import until

OFFSET_OCTETS = "application/offset+octet-stream"
CONFIG = lab.merged(
    HEADERS_AUTH,
    {
        "DEFAULT": {"enabled_extensions": "tus", "workers": 2, "user_storage_quota": 50_000_000},
        "lease": {"ttl": 2, "reap_interval": 0.2},
        "periodic": {"embedded": False},
        "uploads": {"part_size": 1 << 20},
    },
)
DATA = os.urandom(3_500_000)


class Tus:
    def __init__(self, url: str, project: str = "demo", roles: str = "member,reader") -> None:
        self.client = Client(url, project, roles)

    def call(
        self, method: str, path: str, data: bytes | Iterable[bytes] | None = None, **headers: str
    ) -> requests.Response:
        """``path``, or a URL; ``headers`` with underscores."""
        named = {"Tus-Resumable": "1.0.0", **{name.replace("_", "-"): value for name, value in headers.items()}}
        url = path if "://" in path else f"{self.client.url}{path}"
        return self.client.session.request(
            method, url, data=data, timeout=120, headers={k: v for k, v in named.items() if v}
        )

    def image(self, **fields: object) -> str:
        return str(self.client.create(**fields)["id"])

    def create(self, image_id: str, length: int | None = len(DATA), **headers: str) -> requests.Response:
        said = {"Upload_Defer_Length": "1"} if length is None else {"Upload_Length": str(length)}
        return self.call("POST", f"/v2/images/{image_id}/uploads", **said, **headers)

    def begun(self, length: int | None = len(DATA), **fields: object) -> str:
        """The URL of an upload."""
        answer = self.create(self.image(**fields), length)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["Location"])

    def partials(self, image_id: str, cuts: Iterable[tuple[int, int]], *, sent: bool = True) -> list[str]:
        """URLs of partial uploads, of these ranges of DATA; ``sent``: with their bytes."""
        urls = []
        for first, end in cuts:
            answer = self.create(image_id, end - first, Upload_Concat="partial")
            assert answer.status_code == 201, answer.text
            urls.append(str(answer.headers["Location"]))
            if sent:
                assert self.patch(urls[-1], 0, DATA[first:end]).status_code == 204
        return urls

    def join(self, image_id: str, urls: Iterable[str], **headers: str) -> requests.Response:
        return self.call("POST", f"/v2/images/{image_id}/uploads", Upload_Concat=f"final;{' '.join(urls)}", **headers)

    def patch(self, url: str, offset: int, data: bytes | Iterable[bytes], **headers: str) -> requests.Response:
        return self.call("PATCH", url, data, **{"Upload_Offset": str(offset), "Content_Type": OFFSET_OCTETS, **headers})

    def offset(self, url: str) -> int:
        """Asked for again, as clients do, while the service does not know yet that whoever sent has died: until the
        lease has ended."""
        answers: list[requests.Response] = []

        def told() -> bool:
            answers.append(self.call("HEAD", url))
            return answers[-1].status_code != 409

        until(told, lambda: str(answers[-1].headers))
        assert answers[-1].status_code == 200, answers[-1].status_code
        return int(answers[-1].headers["Upload-Offset"])

    def uploads(self, image_id: str) -> list[dict[str, Any]]:
        answer = self.call("GET", f"/v2/images/{image_id}/uploads")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["uploads"])


def image_of(url: str) -> str:
    return url.split("/images/")[1].split("/")[0]


def staged(service: lab.Service) -> list[str]:
    folder = Path(str(service.config["file"]["filesystem_store_datadir"]), ".staging")
    return sorted(x.name for x in folder.iterdir() if x.is_file() and not x.name.startswith("."))


def stored(service: lab.Service) -> list[str]:
    folder = Path(str(service.config["file"]["filesystem_store_datadir"]))
    return sorted(x.name for x in folder.iterdir() if x.is_file() and not x.name.startswith("."))


def growing(service: lab.Service) -> list[str]:
    """What the image's store has of images that are not complete."""
    folder = Path(str(service.config["file"]["filesystem_store_datadir"]))
    return sorted(x.name for x in folder.iterdir() if x.is_file() and x.suffix in (".parts", ".fence", ".part"))


def usage(service: lab.Service) -> tuple[int, int, int]:
    """Bytes used, images that are uploading, leases."""
    with sqlite3.connect(service.folder / "glance.sqlite") as connection:
        [[used, uploading]] = connection.execute(
            "select coalesce(sum(bytes), 0), coalesce(sum(uploading), 0) from project_usage"
        ).fetchall()
        [[reserved, leases]] = connection.execute("select coalesce(sum(reserved), 0), count(*) from leases").fetchall()
        return used + reserved, uploading, leases
