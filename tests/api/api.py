"""Calls of the application in-process, as different people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

V20 = "application/openstack-images-v2.0-json-patch"
V21 = "application/openstack-images-v2.1-json-patch"


@dataclass(frozen=True)
class Person:
    """Somebody of a project who calls the API."""

    app: Flask
    project: str = "demo"
    roles: str = "member,reader"

    def call(self, method: str, path: str, body: object = None, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return self.app.test_client().open(path, method=method, data=raw, environ_base={"REMOTE_ADDR": "127.0.0.1"}, headers={
            "X-Identity-Status": "Confirmed", "X-User-Id": f"user-{self.project}", "X-Project-Id": self.project,
            "X-Roles": self.roles, "Accept": "application/json", **named})

    def create(self, **fields: object) -> dict[str, Any]:
        answer = self.call("POST", "/v2/images", {"disk_format": "raw", "container_format": "bare", **fields})
        assert answer.status_code == 201, answer.text
        return dict(answer.json or {})

    def upload(self, image_id: str, data: bytes = b"data", **headers: str) -> TestResponse:
        return self.call("PUT", f"/v2/images/{image_id}/file", data, Content_Type="application/octet-stream", **headers)

    def patch(self, image_id: str, *steps: object, dialect: str = V21) -> TestResponse:
        return self.call("PATCH", f"/v2/images/{image_id}", list(steps), Content_Type=dialect)

    def ids(self, query: str = "") -> set[str]:
        """Ids of all pages of a list."""
        found: set[str] = set()
        path = f"/v2/images?limit=1000{'&' if query else ''}{query}"
        while path:
            answer = self.call("GET", path)
            assert answer.status_code == 200, answer.text
            page = answer.json or {}
            found |= {x["id"] for x in page["images"]}
            path = page.get("next", "")
        return found


def people(app: Flask, project: str = "demo") -> dict[str, Person]:
    """Everybody who may have something to do with an image of ``project``."""
    return {
        "owner": Person(app, project), "reader": Person(app, project, "reader"), "pending": Person(app, f"{project}-pending"),
        "accepted": Person(app, f"{project}-accepted"), "rejected": Person(app, f"{project}-rejected"),
        "stranger": Person(app, f"{project}-stranger"), "admin": Person(app, "admins", "admin,member,reader"),
    }
