"""A small HTTP client for our own service: one call, one answer, identity by headers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import requests

#: Configuration of a service that takes identity headers from loopback.
HEADERS_AUTH = {"DEFAULT": {"auth_strategy": "headers"}}
#: What a caller sees of a process that is killed while it answers: before the answer, or in the middle of it.
BROKEN_OFF = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
V21 = "application/openstack-images-v2.1-json-patch"


class Client:
    def __init__(self, url: str, project: str = "demo", roles: str = "member,reader") -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers.update(
            {
                "X-Identity-Status": "Confirmed",
                "X-User-Id": f"user-{project}",
                "X-Project-Id": project,
                "X-Roles": roles,
                "Accept": "application/json",
            }
        )

    def call(self, method: str, path: str, body: object = None, **more: Any) -> requests.Response:
        if body is not None:
            more["data"] = json.dumps(body)
        return self.session.request(method, f"{self.url}{path}", timeout=60, **more)

    def create(self, **fields: object) -> dict[str, Any]:
        answer = self.call("POST", "/v2/images", {"disk_format": "raw", "container_format": "bare", **fields})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def show(self, image_id: str) -> dict[str, Any]:
        answer = self.call("GET", f"/v2/images/{image_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def patch(self, image_id: str, *steps: Mapping[str, object]) -> requests.Response:
        return self.call("PATCH", f"/v2/images/{image_id}", list(steps), headers={"Content-Type": V21})

    def upload(self, image_id: str, data: bytes | Iterable[bytes], **headers: str) -> requests.Response:
        return self.session.put(
            f"{self.url}/v2/images/{image_id}/file",
            data=data,
            timeout=120,
            headers={"Content-Type": "application/octet-stream", **headers},
        )

    def download(self, image_id: str, **headers: str) -> requests.Response:
        return self.session.get(f"{self.url}/v2/images/{image_id}/file", headers=headers, timeout=120)

    def delete(self, image_id: str) -> requests.Response:
        return self.call("DELETE", f"/v2/images/{image_id}")
