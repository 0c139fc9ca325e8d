"""The kit for extensions. Each route has an upload of its own, to an image that is queued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from glancecore.domain.context import Context
from glancecore.ports.http import Route
from glancecore.testing.extension import ExtensionConformance, Running

UPLOAD = "/v2/images/<image_id>/resumable/<upload_id>"
OWNER = Context(project="owners", roles=frozenset({"member", "reader"}))


class TestResumable(ExtensionConformance):
    name = "resumable"
    values: ClassVar[Mapping[str, str]] = {"upload_id": "none"}
    bodies: ClassVar[Mapping[str, object]] = {f"PATCH {UPLOAD}": b"more"}
    headers: ClassVar[Mapping[str, Mapping[str, str]]] = {
        f"PATCH {UPLOAD}": {"Upload_Offset": "0", "Upload_Complete": "?0"}
    }

    def work(self, service: Running, image_id: str) -> None:
        """An upload, to another image: an active one has its data."""
        del image_id
        other = str(service.owner.create()["id"])
        answer = service.owner.upload(other, b"data", Upload_Complete="?1")
        assert answer.status_code == 204, answer.text
        assert answer.headers["Upload-Complete"] == "?1"
        assert service.row(other).status.value == "active"

    def example_values(self, service: Running, route: Route, image_id: str) -> Mapping[str, str]:
        del route, image_id
        image_id = str(service.owner.create()["id"])
        session = service.service.tools.kernel.uploads.begin(OWNER, image_id, 10)
        return {"image_id": image_id, "upload_id": session.id}
