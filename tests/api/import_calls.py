"""Imports as a client begins and awaits them."""

from __future__ import annotations

import os
import time
from typing import Any

from api import Person
from werkzeug.test import TestResponse

DATA = os.urandom(300_000)
DIRECT = {"method": {"name": "glance-direct"}}


def stage(person: Person, image_id: str, data: bytes = DATA, **headers: str) -> TestResponse:
    return person.call(
        "PUT", f"/v2/images/{image_id}/stage", data, **{"Content_Type": "application/octet-stream", **headers}
    )


def begin(person: Person, image_id: str, body: object, **headers: str) -> TestResponse:
    return person.call("POST", f"/v2/images/{image_id}/import", body, **headers)


def show(person: Person, image_id: str) -> dict[str, Any]:
    return dict(person.call("GET", f"/v2/images/{image_id}").json or {})


def tasks(person: Person, image_id: str) -> list[dict[str, Any]]:
    return list((person.call("GET", f"/v2/images/{image_id}/tasks").json or {})["tasks"])


def ended(person: Person, image_id: str) -> dict[str, Any]:
    """The newest task, once its import has ended."""
    end = time.monotonic() + 30
    while (found := tasks(person, image_id)[0])["status"] not in ("success", "failure"):
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found
