"""A browser, as far as the server can tell: it keeps cookies, says where a request comes from, and sends what the page
would."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client, TestResponse

from glancecore.assembly import extension_kernel
from glancecore.assembly.lifecycle import Service
from glancecore.testing.service import Config, basic, built, merged, read, synced, written

COOKIE = "glancecore-console"
SAFE = ("GET", "HEAD", "OPTIONS")


@contextlib.contextmanager
def console(folder: Path, config: Config, **ext_console: object) -> Iterator[Service]:
    """A service in this process with the console; ``ext_console``: its options."""
    folder.mkdir(parents=True, exist_ok=True)
    conf = read(
        written(
            merged(
                basic(folder), {"DEFAULT": {"enabled_extensions": "console, tus"}, "ext_console": ext_console}, config
            ),
            folder,
        )
    )
    synced(conf)
    with built(conf) as service:
        yield service


@dataclass
class Browser:
    """``always``: headers of each request, such as those of a proxy between."""

    app: Flask
    always: Mapping[str, str] = field(default_factory=dict)
    base: str = "http://localhost"
    address: str = "127.0.0.1"
    csrf: str = ""

    def __post_init__(self) -> None:
        self.client: Client = self.app.test_client()

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> TestResponse:
        """As the page asks; headers with underscores, an empty one is left out."""
        said = {"Accept": "application/json", "Sec-Fetch-Site": "same-origin", **self.always}
        if method not in SAFE:
            said |= {"Origin": self.base, "X-CSRF-Token": self.csrf}
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if raw is not None and not isinstance(body, bytes):
            said["Content-Type"] = "application/json"
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(
            path,
            method=method,
            data=raw,
            base_url=self.base,
            environ_base={"REMOTE_ADDR": self.address},
            headers={name: value for name, value in said.items() if value},
        )

    def api(self, method: str, path: str, body: object = None, **headers: str) -> TestResponse:
        return self.ask(method, f"/console/api{path}", body, **headers)

    def session(self) -> dict[str, Any]:
        answer = self.ask("GET", "/console/session")
        assert answer.status_code == 200, answer.text
        return dict(answer.json or {})

    def login(self, method: str, **fields: str) -> dict[str, Any]:
        answer = self.ask("POST", "/console/session", {"method": method, **fields})
        assert answer.status_code == 200, answer.text
        found = dict(answer.json or {})
        self.csrf = str(found["csrf"])
        return found

    @property
    def cookie(self) -> str:
        """Empty: it has none."""
        found = self.client.get_cookie(COOKIE if self.base.startswith("http://") else f"__Host-{COOKIE}")
        return "" if found is None else found.value

    def set_cookie(self, value: str) -> None:
        self.client.set_cookie(COOKIE, value)


def proxied(project: str, roles: str = "member,reader") -> dict[str, str]:
    """What a proxy says of somebody of that project."""
    return {
        "X-Identity-Status": "Confirmed",
        "X-User-Id": f"user-{project}",
        "X-User-Name": f"User of {project}",
        "X-Project-Id": project,
        "X-Roles": roles,
    }


def image(browser: Browser, data: bytes = b"data", **fields: object) -> str:
    """The id of a new active image."""
    answer = browser.api("POST", "/v2/images", {"disk_format": "raw", "container_format": "bare", **fields})
    assert answer.status_code == 201, answer.text
    image_id = str((answer.json or {})["id"])
    answer = browser.api("PUT", f"/v2/images/{image_id}/file", data, Content_Type="application/octet-stream")
    assert answer.status_code == 204, answer.text
    return image_id


def at(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """The service's clock is that much ahead."""

    def later() -> datetime:
        from glancecore.domain.clock import now

        return now() + timedelta(minutes=minutes)

    monkeypatch.setattr(extension_kernel, "now", later)
