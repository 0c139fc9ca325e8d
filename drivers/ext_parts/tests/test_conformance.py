"""The kit for extensions. Each route has parts of its own, of an image that is queued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from glancecore.domain.context import Context
from glancecore.ports.http import Route
from glancecore.testing.extension import ExtensionConformance, Running

PARTS, PART = "/v2/images/<image_id>/parts", "/v2/images/<image_id>/parts/<number>"
OCTETS = "application/octet-stream"
OWNER = Context(project="owners", roles=frozenset({"member", "reader"}))


class TestParts(ExtensionConformance):
    name = "parts"
    values: ClassVar[Mapping[str, str]] = {"number": "1"}
    bodies: ClassVar[Mapping[str, object]] = {f"PUT {PART}": b"data", f"POST {PARTS}": {"parts": 1, "size": 4}}

    def work(self, service: Running, image_id: str) -> None:
        """Of another image: an active one has its data."""
        del image_id
        other = str(service.owner.create()["id"])
        answer = service.owner.call("PUT", f"/v2/images/{other}/parts/1", b"data", Content_Type=OCTETS)
        assert answer.status_code == 204, answer.text
        answer = service.owner.call("POST", f"/v2/images/{other}/parts", {"parts": 1})
        assert answer.status_code == 204, answer.text
        assert service.row(other).status.value == "active"

    def example_values(self, service: Running, route: Route, image_id: str) -> Mapping[str, str]:
        """Whatever the rules say."""
        del route
        image_id, uploads = str(service.owner.create()["id"]), service.service.tools.kernel.uploads
        session = uploads.begin(OWNER, image_id, 4, note={"part": "1", "at": "1"}, partial=True)
        uploads.append(OWNER, image_id, session.id, 0, [b"data"], size=4)
        return {"image_id": image_id, "number": "1"}
