"""A service with the console, two stores and users of two projects; and what is in it."""

from __future__ import annotations

import contextlib
import functools
import http.server
import sqlite3
import tempfile
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import lab
import requests
from waiting import until

PASSWORD = "a good password"
#: anna is admin; each has a project.
USERS = {"anna": "ops", "rosa": "red", "robert": "red", "bluma": "blue"}
CONFIG = {
    "DEFAULT": {
        "auth_strategy": "basic",
        "enabled_extensions": "console, families, lifecycle, trash, tus",
        "delayed_delete": True,
        "scrub_time": 3600,
        "enabled_backends": "fast:file, slow:file",
        "user_storage_quota": "3GB",
    },
    "glance_store": {"default_backend": "fast"},
    "lease": {"ttl": 2, "reap_interval": 0.2},
    "ext_console": {"upload_chunk_mib": 1, "attempts_per_user": 100},
    "import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]"},
    "uploads": {"part_size": 1 << 20},
    "auth_basic": {
        "admins": "anna",
        "projects": ", ".join(f"{user}:{project}" for user, project in USERS.items()),
        "roles": "robert:reader",
    },
}


@dataclass
class Caller:
    """Somebody who uses the API without the console."""

    url: str
    user: str
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.auth = (self.user, PASSWORD)
        self.session.headers["Accept"] = "application/json"

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        kind = {"data": body} if isinstance(body, bytes) else {"json": body}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.session.request(
            method, f"{self.url}{path}", headers=named, timeout=60, **({} if body is None else kind)
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content and "json" in answer.headers.get("Content-Type", "") else answer.content

    def image(self, name: str, data: bytes | None = b"some data", **fields: object) -> str:
        made = self.call(
            "POST", "/v2/images", {"name": name, "disk_format": "raw", "container_format": "bare", **fields}
        )
        if data is not None:
            self.call("PUT", f"/v2/images/{made['id']}/file", data, Content_Type="application/octet-stream")
        return str(made["id"])

    def show(self, image_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/v2/images/{image_id}"))

    def named(self, name: str) -> list[dict[str, Any]]:
        return list(self.call("GET", f"/v2/images?name={name}")["images"])

    def family(self, name: str, *labels: str) -> tuple[str, dict[str, str]]:
        """Its id, and those of images that are its versions."""
        made = str(self.call("POST", "/families", {"name": name})["id"])
        images = {label: self.image(f"{name}-{label}", label.encode()) for label in labels}
        for label, image_id in images.items():
            self.call("PUT", f"/families/{made}/versions/{label}", {"image_id": image_id})
        return made, images


@dataclass
class Cloud:
    service: lab.Service
    sources: Path
    source_url: str

    @property
    def url(self) -> str:
        return self.service.url

    def caller(self, user: str) -> Caller:
        return Caller(self.url, user)

    def many(self, project: str, count: int) -> None:
        """So many images of a project, in the database alone."""
        like = self.caller("anna").image("the first of many", owner=project)
        with (
            contextlib.closing(sqlite3.connect(self.service.folder / "glance.sqlite", timeout=60)) as database,
            database,
        ):
            columns = [x[1] for x in database.execute("pragma table_info(images)")]
            row = dict(
                zip(columns, database.execute("select * from images where id = ?", [like]).fetchone(), strict=True)
            )
            rows = [
                [
                    *{
                        **row,
                        "id": str(uuid.uuid4()),
                        "name": f"image {n:05}",
                        "created_at": row["created_at"] - n,
                        "locations": "[]",
                    }.values()
                ]
                for n in range(count - 1)
            ]
            database.executemany(f"insert into images values ({', '.join('?' * len(columns))})", rows)


@contextlib.contextmanager
def cloud(port: int = 0, **more: dict[str, object]) -> Iterator[Cloud]:
    with (
        tempfile.TemporaryDirectory() as name,
        lab.service(lab.merged(CONFIG, more), port=port, start=False) as service,
    ):
        folder = Path(name)
        users = service.folder / "users"
        users.write_text(
            "".join(f"{user}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n" for user in USERS)
        )
        users.chmod(0o600)
        service.config = lab.merged(
            service.config,
            {
                "auth_basic": {"http_basic_auth_user_file": users},
                "fast": {"filesystem_store_datadir": service.folder / "fast"},
                "slow": {"filesystem_store_datadir": service.folder / "slow"},
            },
        )
        service.config_file.write_text(lab.config_text(service.config))
        service.start()
        service.manage("metadefs", "load")
        with _files(folder) as url:
            yield Cloud(service, folder, url)


@contextlib.contextmanager
def _files(folder: Path) -> Iterator[str]:
    """A web server of images."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def until_active(caller: Caller, image_id: str) -> None:
    until(lambda: caller.show(image_id)["status"] == "active", lambda: str(caller.show(image_id)))
