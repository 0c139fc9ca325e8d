"""Calls of the application in-process, as different people."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask
from werkzeug.test import TestResponse

from glancecore.testing import service

V20 = "application/openstack-images-v2.0-json-patch"
V21 = "application/openstack-images-v2.1-json-patch"


@dataclass(frozen=True)
class Person(service.Person):
    """As the kits' own, with more to say."""

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
        "owner": Person(app, project),
        "reader": Person(app, project, "reader"),
        "pending": Person(app, f"{project}-pending"),
        "accepted": Person(app, f"{project}-accepted"),
        "rejected": Person(app, f"{project}-rejected"),
        "stranger": Person(app, f"{project}-stranger"),
        "admin": Person(app, "admins", "admin,member,reader"),
    }
